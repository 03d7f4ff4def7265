package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDoctor_FindsWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name, change     string
		subject, problem string
	}{
		{"AMissingIndex", `DROP INDEX sessions_open`, "index sessions_open", "is missing"},
		{"AMissingColumn", `ALTER TABLE threats DROP COLUMN route`, "column threats.route", "is missing"},
		{
			"Orphans", `INSERT INTO members (manufacturer_id, id, email, email_key, name, role, grants, status, password_hash, password_short, totp_last_step, recovery_codes, created_at, updated_at)
				VALUES ('none', 'm', '', '1', '', '', '[]', '', '', 0, 0, '[]', 0, 0), ('none', 'n', '', '2', '', '', '[]', '', '', 0, 0, '[]', 0, 0)`,
			"table members", "2 rows that belong to none of table manufacturers",
		},
		{"AnotherJournal", `PRAGMA journal_mode = DELETE`, "write-ahead log", `"delete"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := openAt(t, tempPath(t))
			put(t, s, "one")
			if err := s.Alter(t.Context(), `PRAGMA foreign_keys = 0`, test.change); err != nil {
				t.Fatal(err)
			}
			got, err := s.Doctor(t.Context())
			if err != nil || len(got) != 1 || got[0].Subject != test.subject || !strings.Contains(got[0].Problem, test.problem) || got[0].Remedy == "" {
				t.Errorf("Doctor = %+v, %v, want that %s %s, and what to do", got, err, test.subject, test.problem)
			}
		})
	}
}

func TestDoctor_FindsADamagedFile(t *testing.T) {
	path := tempPath(t)
	s := openAt(t, path)
	for i := range 200 {
		put(t, s, fmt.Sprintf("record %03d", i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := bytes.Index(file, []byte("record 100")) / 4096 * 4096
	copy(file[page:], bytes.Repeat([]byte{0xa5}, 4096))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := openAt(t, path).Doctor(t.Context())
	if err != nil || len(got) == 0 {
		t.Fatalf("Doctor = %+v, %v, want that the file is damaged", got, err)
	}
	for _, a := range got {
		if a.Subject != "database file" || !strings.Contains(a.Problem, "is damaged") || !strings.Contains(a.Remedy, "backup") {
			t.Errorf("Doctor = %+v, want that the file is damaged", a)
		}
	}
}
