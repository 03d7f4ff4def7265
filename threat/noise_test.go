package threat_test

import (
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// Looking ahead is bounded, so a text can be made of pieces that use the bound up. That must not
// hide an attack, apart from addresses, which only attack as a whole value: such a text is a finding by itself.
func TestInspect_NoiseHidesNoAttack(t *testing.T) {
	d := newDetector(t)
	attacks := []string{
		"1' or 1=1 -- -", "1 union select name, password from users -- ", "<script>alert(document.cookie)</script>", "<img src=x onerror=alert(1)>",
		"; cat /etc/passwd", "../../../../etc/passwd", "${jndi:ldap://a.example/x}", "{{7*7}}{{config.__class__}}",
		"<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>",
	}
	const size = 24 << 10
	for i, piece := range append(strings.Fields("<<<<<<<< '''' )))))) ;;;;;;"), stubborn...) {
		noise := fill(piece, size)
		for k := range 3 {
			attack := attacks[(i+k)%len(attacks)]
			for place, text := range map[string]string{
				"start":  attack + "\n\n" + noise,
				"middle": noise[:size/2] + "\n\n" + attack + "\n\n" + noise[size/2:],
				"end":    noise + "\n\n" + attack,
			} {
				if len(d.Inspect(nil, threat.Input{Name: "v", Value: text, Location: makerguard.InQuery})) == 0 {
					t.Errorf("%q at the %s of %d KiB of %q is not found", attack, place, size>>10, piece)
				}
			}
		}
	}
}
