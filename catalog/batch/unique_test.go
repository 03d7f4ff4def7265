package batch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is kept in mind is bounded, and the summary says from where on nothing was compared.
func TestUnique_IsBoundedAndSaysSo(t *testing.T) {
	p := &pipeline{counts: map[countKey]*RuleCount{}, seen: newSeen(), row: 1}
	p.seen.most = 3
	res := result{}
	for row, hash := range []uint64{7, 8, 7, 9, 7, 10} {
		res.keys = append(res.keys, rowKeys{row: int64(row), hash: [2]uint64{0, hash}})
	}
	p.unique(&res, newLayout(',', []string{"GTIN"}, []string{"gtin"}))
	var got []string
	for _, problem := range res.problems {
		got = append(got, problem.Column+": "+problem.Message)
	}
	want := []string{"GTIN: row 2 has it already: it is unique for a manufacturer"}
	if diff := cmp.Diff(want, got); diff != "" || p.summary().UniqueUntil != 5 || len(p.seen.first[1]) != 3 {
		t.Errorf("compared until row %d, want 5; %d values kept, want 3; -want +got\n%s", p.summary().UniqueUntil, len(p.seen.first[1]), diff)
	}
}
