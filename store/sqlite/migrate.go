package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/makerguard/makerguard"
)

// migrations are applied in the order of their names and numbered from 1. A released
// one is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date in one transaction, so that a kill leaves the
// old or the new. It takes the write lock even when there is nothing to do: that other
// processes wait, and that a store which cannot be written is refused at once. It returns
// Conflict if the schema is newer than this program.
func migrate(ctx context.Context, conn *sql.Conn) (err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, undo := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
			err = errors.Join(err, undo)
		}
	}()
	var version int
	if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version > len(files) {
		return &makerguard.Error{
			Code: makerguard.Conflict,
			Message: fmt.Sprintf("The store was written by a newer makerguard (schema %d, this one knows %d): run that version or a later one.",
				version, len(files)),
		}
	}
	for i, name := range files[version:] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("applying %s: %w", name, err)
		}
		// A pragma takes no parameters; the number is ours.
		if _, err := conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version+i+1)); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, `COMMIT`)
	return err
}
