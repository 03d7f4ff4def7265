package batch_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog/batch"
)

// FuzzRun: whatever a file holds, each row is checked or told, and a refusal is typed.
func FuzzRun(f *testing.F) {
	f.Add([]byte("sku,gtin\nA1,8056890123451\n\"A\n2\",1\n"), false, false)
	f.Add([]byte("\ufeffrx.sphere;frame.size;images.3.name\n−2,00;52□18 140;=a\n"), false, false)
	f.Add([]byte("vat,iban\n\"DE136695976,\nx\"y,\n"), false, true)
	f.Add([]byte("{\"gtin\":\"1\",\"price\":{\"amount_minor\":1e400}}\n[[[\n"), true, false)
	f.Add([]byte("{\"vat\":\"DE136695976\"}\n"), true, true)
	f.Fuzz(func(t *testing.T, file []byte, ndjson, companies bool) {
		c := batch.Config{Format: batch.CSV, Workers: 1, Unique: !companies}
		c.Validator.Now = today
		if ndjson {
			c.Format = batch.NDJSON
		}
		if companies {
			c.Kind = batch.Companies
		}
		var errs, last int64
		c.Problem = func(p batch.Problem) error {
			if p.Row < last || p.Row < 1 || p.Line < p.Row || len(p.Value) > 80 || p.Message == "" {
				t.Errorf("after row %d: %+v", last, p)
			}
			last = p.Row
			if p.Severity == "error" {
				errs++
			}
			return nil
		}
		s, err := batch.Run(t.Context(), bytes.NewReader(file), c)
		if err != nil && !errors.Is(err, makerguard.MalformedRequest) {
			t.Fatalf("Run: %v", err)
		}
		if s.Errors != errs || s.RowsInError > s.Rows || s.RowsInError > s.Errors || (errs > 0) != (s.RowsInError > 0) {
			t.Errorf("%d errors were told: %+v", errs, s)
		}
	})
}
