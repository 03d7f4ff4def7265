package threat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// object is what version 1.5.0 of the schema says of an object: the attributes we write with
// their types, which of them are required, and of which there must be one at least.
type object struct {
	attributes map[string]any // "string", "integer", "boolean", "json", an object, or a list of one of these
	required   string
	oneOf      string
}

// The class Detection Finding and its objects, of https://schema.ocsf.io/1.5.0/classes/detection_finding
// with the attributes of the profile Security Control.
var (
	ocsfNetwork  = object{map[string]any{"ip": "string"}, "", "ip"}
	ocsfOrg      = object{map[string]any{"uid": "string", "name": "string"}, "", "uid name"}
	ocsfUser     = object{map[string]any{"uid": "string", "name": "string", "org": ocsfOrg}, "", "uid name"}
	ocsfSession  = object{map[string]any{"uid": "string"}, "", ""}
	ocsfActor    = object{map[string]any{"user": ocsfUser, "session": ocsfSession}, "", "user session"}
	ocsfRequest  = object{map[string]any{"uid": "string"}, "uid", ""}
	ocsfAPI      = object{map[string]any{"operation": "string", "request": ocsfRequest}, "operation", ""}
	ocsfEvidence = object{map[string]any{"actor": ocsfActor, "api": ocsfAPI, "src_endpoint": ocsfNetwork, "data": "json"}, "", "actor ocsfAPI src_endpoint data"}
	ocsfAnalytic = object{map[string]any{"uid": "string", "name": "string", "type_id": "integer", "type": "string"}, "type_id", "uid name"}
	ocsfInfo     = object{map[string]any{
		"uid": "string", "title": "string", "desc": "string", "types": []any{"string"}, "created_time": "integer", "analytic": ocsfAnalytic,
	}, "uid", ""}
	ocsfProduct  = object{map[string]any{"name": "string", "vendor_name": "string", "version": "string"}, "vendor_name", "name"}
	ocsfMetadata = object{map[string]any{
		"version": "string", "product": ocsfProduct, "profiles": []any{"string"}, "uid": "string", "correlation_uid": "string",
		"tenant_uid": "string", "log_name": "string", "log_provider": "string",
	}, "product version", ""}
	ocsfObservable = object{map[string]any{"name": "string", "type_id": "integer", "type": "string", "value": "string"}, "name type_id", ""}
	ocsfDetection  = object{map[string]any{
		"activity_id": "integer", "activity_name": "string", "category_uid": "integer", "category_name": "string",
		"class_uid": "integer", "class_name": "string", "type_uid": "integer", "type_name": "string", "time": "integer",
		"severity_id": "integer", "severity": "string", "status_id": "integer", "status": "string", "message": "string",
		"action_id": "integer", "action": "string", "disposition_id": "integer", "disposition": "string", "is_alert": "boolean",
		"metadata": ocsfMetadata, "finding_info": ocsfInfo, "evidences": []any{ocsfEvidence}, "observables": []any{ocsfObservable},
	}, "activity_id category_uid class_uid type_uid time severity_id metadata finding_info action_id disposition_id", ""}
)

// conform lists what of v is not as want says.
func conform(at string, want, v any) []string {
	fault := func(format string, args ...any) []string { return []string{at + " " + fmt.Sprintf(format, args...)} }
	switch want := want.(type) {
	case string:
		n, number := v.(float64)
		s, text := v.(string)
		_, truth := v.(bool)
		switch {
		case want == "json", want == "boolean" && truth, want == "integer" && number && n == math.Trunc(n), want == "string" && text && s != "":
			return nil
		}
		return fault("is %v, want a %s", v, want)
	case []any:
		list, ok := v.([]any)
		if !ok || len(list) == 0 {
			return fault("is %v, want a list", v)
		}
		var faults []string
		for i, x := range list {
			faults = append(faults, conform(fmt.Sprintf("%s[%d]", at, i), want[0], x)...)
		}
		return faults
	case object:
		members, ok := v.(map[string]any)
		if !ok {
			return fault("is %v, want an object", v)
		}
		var faults []string
		for name, x := range members {
			if want.attributes[name] == nil {
				faults = append(faults, fault("has the attribute %s, which the schema has not", name)...)
				continue
			}
			faults = append(faults, conform(at+"."+name, want.attributes[name], x)...)
		}
		for _, name := range strings.Fields(want.required) {
			if _, ok := members[name]; !ok {
				faults = append(faults, fault("lacks %s", name)...)
			}
		}
		if any := strings.Fields(want.oneOf); len(any) > 0 && !slices.ContainsFunc(any, func(name string) bool { return members[name] != nil }) {
			faults = append(faults, fault("has none of %v", any)...)
		}
		return faults
	}
	panic("no such type")
}

func TestAppendOCSF_IsADetectionFinding(t *testing.T) {
	full := makerguard.Threat{
		ID: "evt_1", ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1", IP: "192.0.2.1", UserAgent: "test", RequestID: "req_1",
		Route: "POST /products", Blocked: true, DetectedAt: testTime,
		Finding: makerguard.Finding{
			Type: makerguard.XSS, Severity: makerguard.SeverityHigh, Rule: "xss.tag", Description: "why", Input: "body/name",
			Location: makerguard.InJSON, Evidence: "<img onerror=\"\u2028\">\n", Score: 5, Offset: 17, Length: 9,
		},
	}
	edit := func(f func(*makerguard.Threat)) makerguard.Threat { t := full; f(&t); return t }
	for _, c := range []struct {
		name  string
		entry makerguard.Threat
		want  map[string]any // attributes of the event
	}{
		{"blocked", full, map[string]any{
			"class_uid": 2004.0, "category_uid": 2.0, "activity_id": 1.0, "type_uid": 200401.0, "time": 1795424400000.0, "severity_id": 4.0,
			"action_id": 2.0, "disposition_id": 2.0, "is_alert": true,
		}},
		{"watched", edit(func(t *makerguard.Threat) { t.Blocked, t.Severity = false, makerguard.SeverityLow }), map[string]any{"severity_id": 2.0, "action_id": 1.0, "disposition_id": 17.0, "is_alert": true}},
		{"asked", edit(func(t *makerguard.Threat) { t.Blocked, t.Route = false, threat.InspectRoute }), map[string]any{"action_id": 1.0, "is_alert": false}},
		{"nobody", edit(func(t *makerguard.Threat) { t.ManufacturerID, t.MemberID, t.SessionID = "", "", "" }), nil},
		{"an API key", edit(func(t *makerguard.Threat) { t.MemberID, t.Severity = "", makerguard.SeverityMedium }), map[string]any{"severity_id": 3.0}},
		{"behaviour", makerguard.Threat{ID: "evt_2", DetectedAt: testTime, Finding: makerguard.Finding{
			Type: makerguard.TokenReuse, Severity: makerguard.SeverityCritical, Rule: "auth.refresh_reuse", Description: "why",
		}}, map[string]any{"severity_id": 5.0, "action_id": 0.0, "disposition_id": 15.0}},
	} {
		line, err := threat.AppendOCSF(nil, c.entry, "1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(line, []byte("\n")); n != 1 || line[len(line)-1] != '\n' {
			t.Errorf("%s: %q is not one line", c.name, line)
		}
		var event map[string]any
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		for _, fault := range conform(c.name, ocsfDetection, event) {
			t.Error(fault)
		}
		for name, want := range c.want {
			if event[name] != want {
				t.Errorf("%s: %s is %v, want %v", c.name, name, event[name], want)
			}
		}
	}
}

// Who, whence, on what and why stand where the schema has a place for them.
func TestAppendOCSF_TellsWhoAndWhat(t *testing.T) {
	line, err := threat.AppendOCSF([]byte("before\n"), makerguard.Threat{
		ID: "evt_1", ManufacturerID: "mfr_1", MemberID: "mbr_1", SessionID: "ses_1", IP: "192.0.2.1", UserAgent: "curl", RequestID: "req_1",
		Route: "POST /products", DetectedAt: testTime,
		Finding: makerguard.Finding{Type: makerguard.XSS, Rule: "xss.tag", Description: "why", Input: "q", Location: makerguard.InQuery, Evidence: "<b>", Score: 5},
	}, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := bytes.CutPrefix(line, []byte("before\n"))
	if !ok {
		t.Fatalf("%q does not begin with what was there", line)
	}
	var got struct {
		Metadata struct {
			Product     map[string]string
			UID         string
			Correlation string `json:"correlation_uid"`
			Tenant      string `json:"tenant_uid"`
		}
		Info struct {
			Analytic map[string]any
		} `json:"finding_info"`
		Evidences   []map[string]any
		Observables []map[string]any
	}
	if err := json.Unmarshal(rest, &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"actor":        map[string]any{"user": map[string]any{"uid": "mbr_1", "org": map[string]any{"uid": "mfr_1"}}, "session": map[string]any{"uid": "ses_1"}},
		"api":          map[string]any{"operation": "POST /products", "request": map[string]any{"uid": "req_1"}},
		"src_endpoint": map[string]any{"ip": "192.0.2.1"},
		"data":         map[string]any{"input": "q", "location": "query", "evidence": "<b>", "score": 5.0, "user_agent": "curl"},
	}}
	if diff := cmp.Diff(want, got.Evidences); diff != "" {
		t.Errorf("evidences (-want +got):\n%s", diff)
	}
	m := got.Metadata
	if m.UID != "evt_1" || m.Correlation != "req_1" || m.Tenant != "mfr_1" || m.Product["version"] != "1.2.3" {
		t.Errorf("metadata %+v", m)
	}
	if a := got.Info.Analytic; a["uid"] != "xss.tag" || a["type_id"] != 1.0 {
		t.Errorf("analytic %v", a)
	}
	if len(got.Observables) != 2 || got.Observables[0]["value"] != "192.0.2.1" {
		t.Errorf("observables %v", got.Observables)
	}
}
