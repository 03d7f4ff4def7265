package sqlite_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
)

// released are the migrations that stores in use were made by, with the beginning of
// their SHA-256. Changing one would leave those stores as they are: add another instead.
var released = []struct{ name, sum string }{
	{"0001_initial.sql", "04c7c8fe36d9d085"},
}

func TestMigrations_AReleasedOneNeverChanges(t *testing.T) {
	for _, m := range released {
		text, err := os.ReadFile(filepath.Join("migrations", m.name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(text))[:16]; got != m.sum {
			t.Errorf("%s has the sum %s, want %s", m.name, got, m.sum)
		}
	}
}

// storedBy makes a file as the version that knew only the first n migrations left it,
// with the rows that the statements add.
func storedBy(t *testing.T, n int, rows ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "makerguard.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	statements := []string{`PRAGMA journal_mode = WAL`}
	for _, m := range released[:n] {
		text, err := os.ReadFile(filepath.Join("migrations", m.name))
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, string(text))
	}
	statements = append(statements, fmt.Sprintf(`PRAGMA user_version = %d`, n))
	for _, text := range append(statements, rows...) {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen_UpgradesAStoreOfTheFirstVersion(t *testing.T) {
	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	path := storedBy(
		t, 1,
		`INSERT INTO manufacturers VALUES ('mfr_a', 'Lunettes', 'lunettes', 'FR', 'free', 'active', '', 'UTC', 1, 1700000000000000, 1700000000000000)`,
		`INSERT INTO members VALUES ('mfr_a', 'mbr_a', 'a@example.com', 'a@example.com', 'Ana', 'owner', '[]', 'active', 'hash', 0,
			NULL, NULL, NULL, NULL, 0, NULL, '[]', 1700000000000000, 1700000000000000)`,
		`INSERT INTO wrapped_keys VALUES ('', 'signing', 1, 'active', 'kek_1', x'0102', 1700000000000000)`,
		`INSERT INTO threats VALUES ('mfr_a', 'evt_1', 'mbr_a', 'ses_1', '192.0.2.1', 'curl', 'req_1', 1700000000000000,
			'xss', 'high', 'xss.tag', 'a tag', 'Q', 'query', '<SCRIPT>', 5)`,
		`INSERT INTO vault_records VALUES ('mfr_a', 'prices', x'03', 1, 1700000000000000, 1700000000000000, 'mbr_a')`,
		`INSERT INTO changes VALUES (7, 'keys_changed', '', '', '', 1700000000000000)`,
	)
	for range 2 { // the second time there is nothing left to do
		s := openAt(t, path)
		ctx := t.Context()
		threat := makerguard.Threat{
			ID: "evt_1", ManufacturerID: "mfr_a", MemberID: "mbr_a", SessionID: "ses_1", IP: "192.0.2.1", UserAgent: "curl", RequestID: "req_1", DetectedAt: at,
			Finding: makerguard.Finding{
				Type: makerguard.XSS, Severity: makerguard.SeverityHigh, Rule: "xss.tag", Description: "a tag",
				Input: "Q", Location: makerguard.InQuery, Evidence: "<SCRIPT>", Score: 5,
			},
		}
		for _, text := range []string{"", "q", "Script"} {
			got, err := s.Threats(ctx, makerguard.ThreatFilter{ManufacturerID: "mfr_a", Text: text, Limit: 9})
			if diff := cmp.Diff([]makerguard.Threat{threat}, got); err != nil || diff != "" {
				t.Errorf("Threats(text %q): %v (-want +got):\n%s", text, err, diff)
			}
		}
		keys, err := s.Keys(ctx, "", makerguard.KeySigning)
		want := []makerguard.WrappedKey{{
			Purpose: makerguard.KeySigning, Version: 1, State: makerguard.KeyActive, KEKID: "kek_1", Wrapped: []byte{1, 2}, CreatedAt: at, StateAt: at,
		}}
		if diff := cmp.Diff(want, keys); err != nil || diff != "" {
			t.Errorf("Keys: %v (-want +got):\n%s", err, diff)
		}
		m, _, err := s.MemberByEmail(ctx, "a@example.com")
		if err != nil || m.ID != "mbr_a" {
			t.Errorf("MemberByEmail = %+v, %v, want the member of before", m, err)
		}
		if r, err := s.Record(ctx, "mfr_a", "prices"); err != nil || !bytes.Equal(r.Sealed, []byte{3}) {
			t.Errorf("Record = %+v, %v, want the record of before", r, err)
		}
		if _, cursor, err := s.Changes(ctx, ""); err != nil || cursor != "7" {
			t.Errorf("the feed ends at %q, %v, want where it did", cursor, err)
		}
		// Everything that a new store has is there.
		if ailments, err := s.Doctor(ctx); err != nil || len(ailments) > 0 {
			t.Errorf("Doctor = %+v, %v, want nothing wrong", ailments, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
