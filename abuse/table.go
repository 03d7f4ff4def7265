package abuse

import "container/list"

// table keeps at most limit values by key; the one longest unused makes room for a new one.
// It is not safe for concurrent use.
type table[V any] struct {
	limit int
	byKey map[string]*list.Element
	order *list.List // of *row[V], most recently used first
}

type row[V any] struct {
	key   string
	value V
}

func newTable[V any](limit int) *table[V] {
	return &table[V]{limit: limit, byKey: map[string]*list.Element{}, order: list.New()}
}

// at gives the value of a key, zero at first.
func (t *table[V]) at(key string) *V {
	if e, ok := t.byKey[key]; ok {
		t.order.MoveToFront(e)
		return &e.Value.(*row[V]).value
	}
	if len(t.byKey) >= t.limit {
		oldest := t.order.Back()
		delete(t.byKey, oldest.Value.(*row[V]).key)
		t.order.Remove(oldest)
	}
	r := &row[V]{key: key}
	t.byKey[key] = t.order.PushFront(r)
	return &r.value
}

func (t *table[V]) drop(key string) {
	if e, ok := t.byKey[key]; ok {
		delete(t.byKey, key)
		t.order.Remove(e)
	}
}
