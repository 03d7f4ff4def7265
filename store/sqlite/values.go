package sqlite

import (
	"encoding/json"
	"fmt"
	"time"
)

// micros is how a time is stored: microseconds since 1970 in UTC. The zero time, too,
// comes back as it was.
func micros(t time.Time) int64 { return t.UnixMicro() }

// optMicros is micros with NULL for the zero time.
func optMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// intoTime scans what micros and optMicros stored.
type intoTime struct{ t *time.Time }

func (d intoTime) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*d.t = time.Time{}
	case int64:
		*d.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a %T is no time", v)
	}
	return nil
}

const emptyList = "[]"

// jsonList is how a small list is stored.
func jsonList[T any](list []T) (string, error) {
	if len(list) == 0 {
		return emptyList, nil // most are
	}
	b, err := json.Marshal(list)
	return string(b), err
}

// intoList scans what jsonList stored; an empty list comes back as nil.
type intoList[T any] struct{ list *[]T }

func (d intoList[T]) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("a %T is no list", v)
	}
	*d.list = nil
	if s == emptyList {
		return nil
	}
	return json.Unmarshal([]byte(s), d.list)
}

// blob makes b fit for a column that is NOT NULL: the driver stores nil as NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
