package api

// ScoreDay is the security score of a day.
type ScoreDay struct {
	Day   string `json:"day" format:"date" doc:"In UTC"`
	Score int    `json:"score" minimum:"0" maximum:"100"`
}

// ScoreHistoryResponse is the answer to GET /v1/security/score/history, oldest first. Days on
// which the score was not computed are left out.
type ScoreHistoryResponse struct {
	Scores []ScoreDay `json:"scores"`
}
