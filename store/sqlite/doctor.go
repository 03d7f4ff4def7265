package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/makerguard/makerguard"
)

const remedyForeign = "Something else than makerguard wrote to the file. Restore it from a backup."

// Doctor implements store.Store. It reads the whole file, and holds up neither those who
// read nor those who write meanwhile.
func (s *Store) Doctor(ctx context.Context) ([]makerguard.Ailment, error) {
	var ailments []makerguard.Ailment
	for _, check := range []func(context.Context) ([]makerguard.Ailment, error){
		s.checkPages, s.checkReferences, s.checkSchema, s.checkJournal,
	} {
		more, err := check(ctx)
		if adviceFor(err) == adviceDamaged {
			more, err = []makerguard.Ailment{damage(err)}, nil
		}
		if err != nil {
			return nil, storeError("checking the store", err)
		}
		ailments = append(ailments, more...)
	}
	return slices.Compact(ailments), nil // damage may have stopped several checks
}

func damage(problem any) makerguard.Ailment {
	return makerguard.Ailment{Subject: "database file", Problem: fmt.Sprint("is damaged: ", problem), Remedy: adviceDamaged}
}

// checkPages has SQLite look at how every table and index is laid out in the file.
func (s *Store) checkPages(ctx context.Context) ([]makerguard.Ailment, error) {
	problems, err := list(ctx, s.read, itself[string], `PRAGMA quick_check(10)`)
	if err != nil || slices.Equal(problems, []string{"ok"}) {
		return nil, err
	}
	var ailments []makerguard.Ailment
	for _, p := range problems {
		ailments = append(ailments, damage(p))
	}
	return ailments, nil
}

// checkReferences looks for rows that belong to one that is not there.
func (s *Store) checkReferences(ctx context.Context) ([]makerguard.Ailment, error) {
	var ailments []makerguard.Ailment
	err := s.read.rows(ctx, func(row scanner) error {
		var (
			table, parent string
			rows          int
		)
		err := row.Scan(&table, &parent, &rows)
		ailments = append(ailments, makerguard.Ailment{
			Subject: "table " + table,
			Problem: fmt.Sprintf("has %d rows that belong to none of table %s", rows, parent),
			Remedy:  remedyForeign,
		})
		return err
	}, `SELECT "table", parent, COUNT(*) FROM pragma_foreign_key_check GROUP BY "table", parent`)
	return ailments, err
}

// checkSchema looks for the tables, columns and indexes that a new store has.
func (s *Store) checkSchema(ctx context.Context) ([]makerguard.Ailment, error) {
	got, err := schema(ctx, s.read)
	if err != nil {
		return nil, err
	}
	want, err := newSchema(ctx)
	if err != nil {
		return nil, err
	}
	var ailments []makerguard.Ailment
	for _, object := range want {
		if !slices.Contains(got, object) {
			ailments = append(ailments, makerguard.Ailment{Subject: object, Problem: "is missing", Remedy: remedyForeign})
		}
	}
	return ailments, nil
}

// newSchema is the schema of a store that was just made.
func newSchema(ctx context.Context) (objects []string, err error) {
	db, err := openDB(":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := migrate(ctx, conn); err != nil {
		return nil, err
	}
	on := newStatements(conn)
	defer on.close()
	return schema(ctx, on)
}

// schema names the tables, columns and indexes of a database.
func schema(ctx context.Context, on *statements) ([]string, error) {
	return list(ctx, on, itself[string], `SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('table', 'index')
		UNION ALL SELECT 'column ' || t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'`)
}

// checkJournal makes sure that the file has its write-ahead log, without which readers
// and the writer wait for one another. The mode is kept in the file, so other programs can change it.
func (s *Store) checkJournal(ctx context.Context) ([]makerguard.Ailment, error) {
	mode, err := list(ctx, s.read, itself[string], `PRAGMA journal_mode`)
	if err != nil || slices.Equal(mode, []string{"wal"}) {
		return nil, err
	}
	return []makerguard.Ailment{{
		Subject: "write-ahead log",
		Problem: fmt.Sprintf("is off: the journal's mode is %q", mode),
		Remedy:  "Start makerguard again, with the file on a local disk: it turns the log on.",
	}}, nil
}
