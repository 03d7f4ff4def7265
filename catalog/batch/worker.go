package batch

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/makerguard/makerguard/catalog"
)

// result is what a worker found in a piece. Rows and lines count from 0, the piece's first.
type result struct {
	problems    []Problem
	keys        []rowKeys // of each row, when Config.Unique is set
	rows        int64     // checked
	rowsInError int64
	height      int64 // rows as a spreadsheet counts them, empty ones too
	lines       int64
}

// rowKeys are hashes of what must be unique, 0 for what is missing or wrong.
type rowKeys struct {
	row, line int64
	hash      [2]uint64 // of SKU and GTIN
}

// worker checks pieces, one at a time.
type worker struct {
	config   *Config
	file     *layout
	doc      *row
	report   catalog.Report
	seed     maphash.Seed
	problems []Problem
	row      int64 // the row at hand
	line     int64
	failed   bool // an error was found in it
}

// layout is what a CSV's header says; of NDJSON it is empty.
type layout struct {
	comma   rune
	names   []string // as the header has them
	columns []string
	pointer map[string]int // JSON pointer to column
}

func newLayout(comma rune, names, columns []string) *layout {
	l := &layout{comma: comma, names: names, columns: columns, pointer: map[string]int{}}
	for i, c := range columns {
		l.pointer["/"+strings.ReplaceAll(c, ".", "/")] = i
	}
	return l
}

func (w *worker) check(p piece) result {
	w.problems = nil
	res := result{}
	switch {
	case p.broken != "":
		w.row, w.line = 0, 0
		w.add("", "", "", p.broken)
		res = result{rows: 1, rowsInError: 1, height: p.lines, lines: p.lines}
	case w.config.Format == CSV:
		res = w.csv(p.data)
	default:
		res = w.ndjson(p.data)
	}
	res.problems = w.problems
	return res
}

// csv checks rows of CSV.
func (w *worker) csv(data []byte) (res result) {
	text := utf8.Valid(data)
	quoted := bytes.IndexByte(data, '"') >= 0
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma = w.file.comma
	r.FieldsPerRecord = len(w.file.columns)
	r.ReuseRecord = true
	var inner int64 // line ends within cells so far
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		w.failed = false
		if malformed, ok := errors.AsType[*csv.ParseError](err); ok && !errors.Is(err, csv.ErrFieldCount) {
			w.line = int64(malformed.StartLine) - 1
			w.row = w.line - inner
			inner += int64(malformed.Line - malformed.StartLine)
			w.add("", "", "", "the row's quotation marks do not fit: begin and end a cell with one, and write those inside twice")
		} else {
			at, _ := r.FieldPos(0)
			w.line = int64(at) - 1
			w.row = w.line - inner
			if quoted {
				for _, c := range cells {
					inner += int64(strings.Count(c, "\n"))
				}
			}
			switch {
			case err != nil:
				w.add("", "", "", fmt.Sprintf("the row has %d cells and the header %d: each column needs a cell", len(cells), len(w.file.columns)))
			case !text && !allText(cells):
				w.add("", "", "", "the row is not in UTF-8: save the file as CSV UTF-8")
			default:
				w.cells(cells)
				if w.config.Unique {
					res.keys = append(res.keys, w.keys(&w.doc.product))
				}
			}
		}
		res.rows++
		if w.failed {
			res.rowsInError++
		}
	}
	res.lines = countLines(data)
	res.height = res.lines - inner
	return res
}

func allText(cells []string) bool {
	for _, c := range cells {
		if !utf8.ValidString(c) {
			return false
		}
	}
	return true
}

func countLines(data []byte) int64 {
	n := int64(bytes.Count(data, []byte{'\n'}))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		n++
	}
	return n
}

// cells checks a row's document.
func (w *worker) cells(cells []string) {
	for i, c := range cells {
		if !w.doc.set(i, c) {
			w.add("/"+strings.ReplaceAll(w.file.columns[i], ".", "/"), w.file.names[i], clip(c), "write a number in digits, with a point before decimals: 48.5")
		}
	}
	w.report.Reset()
	if w.config.Kind == Companies {
		w.config.Validator.Company(&w.report, &w.doc.company)
	} else {
		w.config.Validator.Product(&w.report, &w.doc.product)
	}
	w.found(cells)
}

// found adds the report's problems; cells are nil for NDJSON.
func (w *worker) found(cells []string) {
	w.failed = w.failed || len(w.report.Errors) > 0
	for _, problems := range [...][]catalog.Problem{w.report.Errors, w.report.Warnings} {
		for _, p := range problems {
			column, value := p.Pointer, ""
			if w.config.Format == CSV {
				column = strings.ReplaceAll(strings.TrimPrefix(p.Pointer, "/"), "/", ".")
				if i, ok := w.file.pointer[p.Pointer]; ok {
					column, value = w.file.names[i], clip(cells[i])
				}
			}
			w.problems = append(w.problems, Problem{Problem: p, Row: w.row, Line: w.line, Column: column, Value: value})
		}
	}
}

// add adds a problem of reading the row.
func (w *worker) add(pointer, column, value, message string) {
	w.failed = true
	w.problems = append(w.problems, Problem{
		Problem: catalog.Problem{Pointer: pointer, Rule: RuleFormat, Severity: catalog.SeverityError, Message: message, Source: source},
		Row:     w.row, Line: w.line, Column: column, Value: value,
	})
}

// clip bounds a value that is shown.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.Clone(s[:cut]) // so that the row can be freed
}

// keys hashes what must be unique in the form in which it is compared.
func (w *worker) keys(p *catalog.Product) rowKeys {
	k := rowKeys{row: w.row, line: w.line}
	if p.SKU != nil {
		if sku, ok := catalog.NormalSKU(*p.SKU); ok {
			k.hash[0] = maphash.String(w.seed, sku)
		}
	}
	if p.GTIN != nil {
		if gtin, ok := catalog.NormalGTIN(*p.GTIN); ok {
			k.hash[1] = maphash.String(w.seed, gtin)
		}
	}
	return k
}
