package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/makerguard/makerguard"
)

const (
	// spentPoints is what is as good as no points at all.
	spentPoints = 0.01
	// keepPoints is how long points are kept that none are added to, however slowly they fade.
	keepPoints = 365 * 24 * time.Hour
)

// points are so many at the time they were counted, and fewer later.
type points struct {
	n       float64
	counted time.Time
}

// scanPoints reads the points of a key, 0 if it has none.
func scanPoints(row scanner) (points, error) {
	var p points
	err := row.Scan(&p.n, intoTime{&p.counted})
	if errors.Is(err, sql.ErrNoRows) {
		return points{}, nil
	}
	return p, err
}

// at is how many are left at a time.
func (p points) at(now time.Time, halfLife time.Duration) float64 {
	return p.n * math.Exp2(-float64(max(now.Sub(p.counted), 0))/float64(halfLife))
}

// fadesWithin is how long it takes until so many points are spent, at most keepPoints.
func fadesWithin(n float64, halfLife time.Duration) time.Duration {
	if n <= spentPoints {
		return 0
	}
	return time.Duration(min(float64(halfLife)*math.Log2(n/spentPoints), float64(keepPoints)))
}

// AddPoints implements abuse.Store and score.Store. Clocks of nodes differ a little:
// points that are added in the past of the newest do not fade until then.
func (s *Store) AddPoints(ctx context.Context, key string, add float64, halfLife time.Duration, now time.Time) (float64, error) {
	if halfLife <= 0 || math.IsNaN(add) || math.IsInf(add, 0) {
		return 0, &makerguard.Error{Code: makerguard.ValidationFailed, Message: "Points must be a number, and the time in which they halve more than 0."}
	}
	const query = `SELECT points, at FROM points WHERE key = ?`
	if add == 0 {
		p, err := scanPoints(s.read.row(ctx, query, key))
		return p.at(now, halfLife), storeError("reading points", err)
	}
	var sum float64
	err := s.write(ctx, "adding points", func(t tx) error {
		p, err := scanPoints(t.row(query, key))
		if err != nil {
			return err
		}
		sum = p.at(now, halfLife) + add
		if p.counted.Before(now) {
			p.counted = now
		}
		_, err = t.exec(`INSERT INTO points (key, points, at, spent_at) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (key) DO UPDATE SET points = ?2, at = ?3, spent_at = ?4`,
			key, sum, micros(p.counted), micros(p.counted.Add(fadesWithin(sum, halfLife))))
		return err
	})
	if err != nil {
		return 0, err
	}
	return sum, nil
}

// PutScore implements score.Store.
func (s *Store) PutScore(ctx context.Context, p makerguard.ScorePoint) error {
	return s.write(ctx, "storing a score", func(t tx) error {
		_, err := t.exec(`INSERT INTO security_scores (manufacturer_id, day, score) VALUES (?1, ?2, ?3)
			ON CONFLICT (manufacturer_id, day) DO UPDATE SET score = ?3`, p.ManufacturerID, micros(p.Day), p.Score)
		return err
	})
}

// Scores implements score.Store.
func (s *Store) Scores(ctx context.Context, mfr makerguard.ManufacturerID, since time.Time) ([]makerguard.ScorePoint, error) {
	all, err := list(ctx, s.read, func(p *makerguard.ScorePoint) []any {
		return []any{&p.ManufacturerID, intoTime{&p.Day}, &p.Score}
	}, `SELECT manufacturer_id, day, score FROM security_scores WHERE manufacturer_id = ? AND day >= ? ORDER BY day`, mfr, micros(since))
	return all, storeError("listing scores", err)
}
