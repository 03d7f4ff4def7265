package threat

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/makerguard/makerguard"
)

// ocsfVersion is the version of the schema that exported events follow (https://schema.ocsf.io).
const ocsfVersion = "1.5.0"

// AppendOCSF appends t to dst as one line of JSON: an event of the class Detection Finding
// (2004) of the Open Cybersecurity Schema Framework, version 1.5.0, with the profile
// Security Control. version is makerguard's. docs/threats.md says which member is what.
func AppendOCSF(dst []byte, t makerguard.Threat, version string) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false) // it is read by machines, and attacks are easier to find as they were
	if err := e.Encode(detectionFinding(t, version)); err != nil {
		return dst, fmt.Errorf("writing %s as OCSF: %w", t.ID, err)
	}
	return b.Bytes(), nil
}

// ocsfFinding is the class Detection Finding, as far as the history has something to say.
type ocsfFinding struct {
	ActivityID    int              `json:"activity_id"`
	ActivityName  string           `json:"activity_name"`
	CategoryUID   int              `json:"category_uid"`
	CategoryName  string           `json:"category_name"`
	ClassUID      int              `json:"class_uid"`
	ClassName     string           `json:"class_name"`
	TypeUID       int              `json:"type_uid"`
	TypeName      string           `json:"type_name"`
	Time          int64            `json:"time"` // milliseconds since 1970
	SeverityID    int              `json:"severity_id"`
	Severity      string           `json:"severity"`
	StatusID      int              `json:"status_id"`
	Status        string           `json:"status"`
	Message       string           `json:"message"`
	ActionID      int              `json:"action_id"`
	Action        string           `json:"action"`
	DispositionID int              `json:"disposition_id"`
	Disposition   string           `json:"disposition"`
	IsAlert       bool             `json:"is_alert"`
	Metadata      ocsfMetadata     `json:"metadata"`
	FindingInfo   ocsfFindingInfo  `json:"finding_info"`
	Evidences     []ocsfEvidence   `json:"evidences"`
	Observables   []ocsfObservable `json:"observables,omitempty"`
}

type ocsfMetadata struct {
	Version        string      `json:"version"`
	Product        ocsfProduct `json:"product"`
	Profiles       []string    `json:"profiles"`
	UID            string      `json:"uid"`
	CorrelationUID string      `json:"correlation_uid,omitempty"`
	TenantUID      string      `json:"tenant_uid,omitempty"`
	LogName        string      `json:"log_name"`
	LogProvider    string      `json:"log_provider"`
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
	Version    string `json:"version,omitempty"`
}

type ocsfFindingInfo struct {
	UID         string       `json:"uid"`
	Title       string       `json:"title"`
	Desc        string       `json:"desc,omitempty"`
	Types       []string     `json:"types"`
	CreatedTime int64        `json:"created_time"`
	Analytic    ocsfAnalytic `json:"analytic"`
}

type ocsfAnalytic struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

type ocsfEvidence struct {
	Actor       *ocsfActor    `json:"actor,omitempty"`
	API         *ocsfAPI      `json:"api,omitempty"`
	SrcEndpoint *ocsfEndpoint `json:"src_endpoint,omitempty"`
	Data        ocsfData      `json:"data"`
}

type ocsfActor struct {
	User    *ocsfUser    `json:"user,omitempty"`
	Session *ocsfSession `json:"session,omitempty"`
}

type ocsfUser struct {
	UID string            `json:"uid"`
	Org *ocsfOrganization `json:"org,omitempty"`
}

type ocsfOrganization struct {
	UID string `json:"uid"`
}

type ocsfSession struct {
	UID string `json:"uid"`
}

type ocsfAPI struct {
	Operation string       `json:"operation"`
	Request   *ocsfRequest `json:"request,omitempty"`
}

type ocsfRequest struct {
	UID string `json:"uid"`
}

type ocsfEndpoint struct {
	IP string `json:"ip"`
}

// ocsfData is what the schema has no attribute for.
type ocsfData struct {
	Input     string `json:"input,omitempty"`
	Location  string `json:"location,omitempty"`
	Evidence  string `json:"evidence,omitempty"`
	Score     int    `json:"score"`
	Offset    int    `json:"offset,omitempty"`
	Length    int    `json:"length,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

type ocsfObservable struct {
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

func detectionFinding(t makerguard.Threat, version string) ocsfFinding {
	at := t.DetectedAt.UnixMilli()
	e := ocsfFinding{
		ActivityID: 1, ActivityName: "Create", CategoryUID: 2, CategoryName: "Findings", ClassUID: 2004, ClassName: "Detection Finding",
		TypeUID: 200401, TypeName: "Detection Finding: Create", Time: at, StatusID: 1, Status: "New", Message: t.Description,
		IsAlert: !asked(t.Route),
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Product: ocsfProduct{Name: "makerguard", VendorName: "makerguard", Version: version},
			Profiles: []string{"security_control"}, UID: string(t.ID), CorrelationUID: t.RequestID, TenantUID: string(t.ManufacturerID),
			LogName: "threats", LogProvider: "makerguard",
		},
		FindingInfo: ocsfFindingInfo{
			UID: string(t.ID), Title: string(t.Type), Desc: t.Description, Types: []string{string(t.Type)}, CreatedTime: at,
			Analytic: ocsfAnalytic{UID: t.Rule, Name: t.Rule, TypeID: 1, Type: "Rule"},
		},
		Evidences: []ocsfEvidence{ocsfEvidenceOf(t)},
	}
	e.SeverityID, e.Severity = ocsfSeverity(t.Severity)
	switch {
	case t.Blocked:
		e.ActionID, e.Action, e.DispositionID, e.Disposition = 2, "Denied", 2, "Blocked"
	case t.Route != "":
		e.ActionID, e.Action, e.DispositionID, e.Disposition = 1, "Allowed", 17, "Logged"
	default: // behaviour: what was done about it is in the audit record
		e.Action, e.DispositionID, e.Disposition = "Unknown", 15, "Detected"
		e.FindingInfo.Analytic.TypeID, e.FindingInfo.Analytic.Type = 2, "Behavioral"
	}
	if t.IP != "" {
		e.Observables = append(e.Observables, ocsfObservable{"evidences[0].src_endpoint.ip", 2, "IP Address", t.IP})
	}
	if t.UserAgent != "" {
		e.Observables = append(e.Observables, ocsfObservable{"evidences[0].data.user_agent", 16, "HTTP User-Agent", t.UserAgent})
	}
	return e
}

func ocsfEvidenceOf(t makerguard.Threat) ocsfEvidence {
	e := ocsfEvidence{Data: ocsfData{
		Input: t.Input, Location: string(t.Location), Evidence: t.Evidence, Score: t.Score, Offset: t.Offset, Length: t.Length,
		UserAgent: t.UserAgent,
	}}
	if t.MemberID != "" {
		e.Actor = &ocsfActor{User: &ocsfUser{UID: string(t.MemberID)}}
		if t.ManufacturerID != "" {
			e.Actor.User.Org = &ocsfOrganization{UID: string(t.ManufacturerID)}
		}
	}
	if t.SessionID != "" {
		if e.Actor == nil {
			e.Actor = &ocsfActor{}
		}
		e.Actor.Session = &ocsfSession{UID: string(t.SessionID)}
	}
	if t.Route != "" {
		e.API = &ocsfAPI{Operation: t.Route}
		if t.RequestID != "" {
			e.API.Request = &ocsfRequest{UID: t.RequestID}
		}
	}
	if t.IP != "" {
		e.SrcEndpoint = &ocsfEndpoint{IP: t.IP}
	}
	return e
}

func ocsfSeverity(s makerguard.Severity) (int, string) {
	switch s {
	case makerguard.SeverityLow:
		return 2, "Low"
	case makerguard.SeverityMedium:
		return 3, "Medium"
	case makerguard.SeverityHigh:
		return 4, "High"
	case makerguard.SeverityCritical:
		return 5, "Critical"
	}
	return 0, "Unknown"
}
