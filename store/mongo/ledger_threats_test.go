package mongo_test

import (
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
)

// What attackers send is text whatever its bytes are, and finds nothing but itself.
//
// goal: V1.2.4
func TestThreats_TextIsNoPattern(t *testing.T) {
	s := newStore(t)
	evidence := []string{"Über ÉCOLE", "a.b*c", `\d+`, "nul\x00byte", "cut \xe2\x82", "(?i)x", "[a-z]", "50% _off_", "' OR '1'='1"}
	for _, e := range evidence {
		th := makerguard.Threat{ID: makerguard.EventID(id.New("evt")), ManufacturerID: "mfr_a", DetectedAt: ledgerNow, UserAgent: e, Finding: makerguard.Finding{Evidence: e}}
		if err := s.AppendThreats(t.Context(), []makerguard.Threat{th}); err != nil {
			t.Fatalf("AppendThreats of %q: %v", e, err)
		}
	}
	for _, test := range []struct {
		text string
		want int
	}{
		{"über école", 1},
		{"A.B*C", 1},
		{".*", 0},
		{`\d`, 1},
		{`\D+`, 1},
		{"nul\x00byte", 1},
		{"l\x00", 1},
		{"\x00\x00", 0},
		{"cut \xe2\x82", 1},
		{"(?i)X", 1},
		{"[a-z]", 1},
		{"[b-y]", 0},
		{"%", 1},
		{"_", 1},
		{"' or '", 1},
		{`\E`, 0},
		{`\Q`, 0},
		{"^", 0},
		{"$", 0},
		{"|", 0},
	} {
		got, err := s.Threats(t.Context(), makerguard.ThreatFilter{ManufacturerID: "mfr_a", Text: test.text, Limit: 100})
		if err != nil || len(got) != test.want {
			t.Errorf("Threats with %q gave %d entries, %v, want %d", test.text, len(got), err, test.want)
		}
	}
}
