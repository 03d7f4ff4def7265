package makerguard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
)

// goal: V16.2.5 — a secret prints redacted, whatever prints it.
func TestSecret_RedactsEverywhere(t *testing.T) {
	const canary = "canary-7f3a"
	s := makerguard.Secret(canary)
	type holder struct {
		S makerguard.Secret
		P *makerguard.Secret
		L []makerguard.Secret
		M map[string]makerguard.Secret
	}
	h := holder{s, &s, []makerguard.Secret{s}, map[string]makerguard.Secret{"k": s}}
	var printed []string
	for _, verb := range strings.Split("v +v #v s q x X d t b o U e f g p c T", " ") {
		if verb == "p" || verb == "T" { // address and type: not the value
			continue
		}
		for _, v := range []any{s, &s, h, &h} {
			if _, isPointer := v.(*makerguard.Secret); isPointer && (verb == "x" || verb == "X" || verb == "d" || verb == "b" || verb == "o") {
				continue // the address
			}
			printed = append(printed, fmt.Sprintf("%"+verb, v))
		}
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(handler).Info("m", "s", s, "p", &s, "h", h, "group", slog.GroupValue(slog.Any("s", s)))
	}
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	printed = append(printed, log.String(), string(j), fmt.Sprint(s), fmt.Errorf("with %w and %v", makerguard.Internal, s).Error())
	for _, p := range printed {
		if strings.Contains(p, canary) || strings.Contains(p, fmt.Sprintf("%x", canary)) {
			t.Errorf("printed %q, want it redacted", p)
		}
	}
	if got := fmt.Sprintf("%v", s); got != "[redacted]" {
		t.Errorf("Sprintf(%%v) = %q, want [redacted]", got)
	}
}

func TestSecret_IsReadFromJSON(t *testing.T) {
	var v struct{ S makerguard.Secret }
	if err := json.Unmarshal([]byte(`{"S":"x\u0041"}`), &v); err != nil || string(v.S) != "xA" {
		t.Errorf("Unmarshal = %q, %v, want xA", string(v.S), err)
	}
}

func TestSecret_Equal(t *testing.T) {
	if s := makerguard.Secret("a"); !s.Equal("a") || s.Equal("b") || s.Equal("") || s.Equal("aa") {
		t.Error("Equal does not tell equal from unequal secrets")
	}
}
