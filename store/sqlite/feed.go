package sqlite

import (
	"context"
	"strconv"

	"github.com/makerguard/makerguard"
)

// announce writes c to the change feed, in the transaction of the change itself.
func (s *Store) announce(t tx, c makerguard.Change) error {
	_, err := t.exec(`INSERT INTO changes (kind, manufacturer_id, member_id, session_id, announced_at) VALUES (?, ?, ?, ?, ?)`,
		c.Kind, c.ManufacturerID, c.MemberID, c.SessionID, micros(s.now()))
	return err
}

// Changes implements feed.Store. The cursor is the number of the last entry read. One
// whose entry is gone, because the reader slept for longer than the feed goes back or
// the file was replaced, is answered with a change of everything.
func (s *Store) Changes(ctx context.Context, after makerguard.Cursor) ([]makerguard.Change, makerguard.Cursor, error) {
	const doing = "reading the change feed"
	if after == "" {
		end, err := s.feedEnd(ctx)
		if err != nil {
			return nil, "", storeError(doing, err)
		}
		return nil, cursorAt(end), nil
	}
	from, err := strconv.ParseInt(string(after), 10, 64)
	if err != nil || from < 0 {
		return nil, "", &makerguard.Error{Code: makerguard.ValidationFailed, Message: "This is no cursor of this store."}
	}
	var (
		news []makerguard.Change
		last int64
		gap  = from > 0
	)
	// The entry at the cursor is read as well: if it is there, none behind it is missing.
	err = s.read.rows(ctx, func(row scanner) error {
		var c makerguard.Change
		if err := row.Scan(&last, &c.Kind, &c.ManufacturerID, &c.MemberID, &c.SessionID); err != nil {
			return err
		}
		if last == from {
			gap = false
			return nil
		}
		if from == 0 && len(news) == 0 {
			gap = last != 1
		}
		news = append(news, c)
		return nil
	}, `SELECT seq, kind, manufacturer_id, member_id, session_id FROM changes WHERE seq >= ? ORDER BY seq`, from)
	if err != nil {
		return nil, "", storeError(doing, err)
	}
	if gap {
		return s.everythingChanged(ctx)
	}
	return news, cursorAt(last), nil
}

func cursorAt(seq int64) makerguard.Cursor { return makerguard.Cursor(strconv.FormatInt(seq, 10)) }

func (s *Store) feedEnd(ctx context.Context) (seq int64, err error) {
	err = s.read.row(ctx, `SELECT COALESCE(MAX(seq), 0) FROM changes`).Scan(&seq)
	return seq, err
}

// everythingChanged tells a reader that missed entries to forget all it knows: every
// manufacturer, with its members and sessions, all keys and rules, the policy and the
// blocks. It is rare, so it may read whole tables.
func (s *Store) everythingChanged(ctx context.Context) ([]makerguard.Change, makerguard.Cursor, error) {
	const doing = "listing what may have changed"
	// First the end, so that what is announced meanwhile comes again rather than never.
	end, err := s.feedEnd(ctx)
	if err != nil {
		return nil, "", storeError(doing, err)
	}
	all, err := list(ctx, s.read, func(c *makerguard.Change) []any { return []any{&c.Kind, &c.ManufacturerID} }, `SELECT ?, id FROM manufacturers
		UNION ALL SELECT DISTINCT ?, manufacturer_id FROM wrapped_keys
		UNION ALL SELECT ?, manufacturer_id FROM rule_sets
		UNION ALL VALUES (?, ''), (?, '')`,
		makerguard.ManufacturerChanged, makerguard.KeysChanged, makerguard.RulesChanged, makerguard.PolicyChanged, makerguard.BlocksChanged)
	if err != nil {
		return nil, "", storeError(doing, err)
	}
	return all, cursorAt(end), nil
}
