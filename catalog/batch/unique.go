package batch

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/makerguard/makerguard/catalog"
)

// seen remembers in which row a SKU and a GTIN stood first.
type seen struct {
	first [2]map[uint64]int64
	most  int   // values of a column
	until int64 // the row that took the last place, 0 before
}

func newSeen() *seen { return &seen{first: [2]map[uint64]int64{{}, {}}, most: MaxUnique} }

// uniqueColumns are the pointers of what rowKeys hash.
var uniqueColumns = [2]string{"/sku", "/gtin"}

// unique adds the rows that repeat an earlier one's SKU or GTIN to res, in the rows' order.
func (p *pipeline) unique(res *result, file *layout) {
	added := false
	inError := map[int64]bool{}
	for _, k := range res.keys {
		if p.seen.until > 0 {
			break
		}
		for i, hash := range k.hash {
			if hash == 0 {
				continue
			}
			before, again := p.seen.first[i][hash]
			if !again {
				p.seen.first[i][hash] = p.row + k.row + 1
				if len(p.seen.first[i]) >= p.seen.most {
					p.seen.until = p.row + k.row + 1
				}
				continue
			}
			if !added {
				for _, problem := range res.problems {
					if problem.Severity == catalog.SeverityError {
						inError[problem.Row] = true
					}
				}
			}
			added = true
			if !inError[k.row] {
				inError[k.row] = true
				res.rowsInError++
			}
			column := uniqueColumns[i]
			if at, ok := file.pointer[column]; ok {
				column = file.names[at]
			}
			res.problems = append(res.problems, Problem{
				Problem: catalog.Problem{
					Pointer: uniqueColumns[i], Rule: RuleUnique, Severity: catalog.SeverityError, Source: source,
					Message: fmt.Sprintf("row %d has it already: it is unique for a manufacturer", before),
				},
				Row: k.row, Line: k.line, Column: column,
			})
		}
	}
	if added {
		slices.SortStableFunc(res.problems, func(a, b Problem) int { return cmp.Compare(a.Row, b.Row) })
	}
}
