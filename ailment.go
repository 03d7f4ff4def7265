package makerguard

// Ailment is something wrong with an installation, and what to do about it.
type Ailment struct {
	Subject string // "index members.email_key"
	Problem string // "is missing"
	Remedy  string // "start makerguard once with a user that may create indexes"
}
