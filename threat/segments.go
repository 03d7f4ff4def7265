package threat

import "sort"

// segments is the way from a decoded text back to the one it was decoded from. It holds
// only what was decoded, in order, and puts runs of equal escapes together; all between
// is the same in both texts.
type segments []segment

// segment stands for n escapes in a row, each of which made wide bytes of long ones.
type segment struct {
	out, src      int // where the first begins, in the decoded text and in the source
	wide, long, n int
}

// add notes that source[src:src+long] became out[at:at+wide].
func (m *segments) add(at, src, wide, long int) {
	if k := len(*m) - 1; k >= 0 {
		s := &(*m)[k]
		if s.wide == wide && s.long == long && s.out+s.n*wide == at && s.src+s.n*long == src {
			s.n++
			return
		}
	}
	*m = append(*m, segment{at, src, wide, long, 1})
}

// source returns where the decoded bytes [start, end) come from.
func (m segments) source(start, end int) (int, int) {
	from, to := m.at(start)
	if end > start {
		_, to = m.at(end - 1)
	}
	return from, to
}

// at returns the source of the decoded byte at p: [from, to).
func (m segments) at(p int) (from, to int) {
	// The last segment that begins at p or before it; of those without output the last one.
	k := sort.Search(len(m), func(i int) bool { return m[i].out > p }) - 1
	if k < 0 {
		return p, p + 1
	}
	s := m[k]
	if s.wide > 0 {
		if i := (p - s.out) / s.wide; i < s.n {
			return s.src + i*s.long, s.src + (i+1)*s.long
		}
	}
	from = s.src + s.n*s.long + p - s.out - s.n*s.wide
	return from, from + 1
}
