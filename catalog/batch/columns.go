package batch

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/makerguard/makerguard/catalog"
)

// maxImages is how many images a CSV can have columns for: images.0.name to images.9.name.
const maxImages = 10

// Columns lists the names of a CSV's columns for a kind: the members of its JSON document, with
// dots between the levels.
func Columns(kind Kind) []string {
	var names []string
	walk(reflect.TypeOf(root(kind)).Elem(), "", func(name string) { names = append(names, name) })
	return names
}

func root(kind Kind) any {
	if kind == Companies {
		return &catalog.Company{}
	}
	return &catalog.Product{}
}

func walk(t reflect.Type, prefix string, f func(name string)) {
	for field := range t.Fields() {
		name := prefix + jsonName(field)
		switch {
		case field.Type.Kind() == reflect.Slice:
			for i := range maxImages {
				walk(field.Type.Elem(), name+"."+strconv.Itoa(i)+".", f)
			}
		case field.Type.Elem().Kind() == reflect.Struct:
			walk(field.Type.Elem(), name+".", f)
		default:
			f(name)
		}
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// row is a document whose members are filled from the cells of a CSV, one row after the other,
// without allocating. The fields' addresses are looked up once, by reflection.
type row struct {
	product catalog.Product
	company catalog.Company
	cells   []cell
}

// cell is where the value of one column goes: text or number is the member.
type cell struct {
	text   **string
	number **float64
	s      string
	f      float64
}

// newRow makes a row of the columns, which must be of Columns(kind).
func newRow(kind Kind, columns []string) *row {
	r := &row{cells: make([]cell, len(columns))}
	doc := reflect.ValueOf(&r.product).Elem()
	if kind == Companies {
		doc = reflect.ValueOf(&r.company).Elem()
	}
	for i, column := range columns {
		switch slot := member(doc, strings.Split(column, ".")).Addr().Interface().(type) {
		case **string:
			r.cells[i].text = slot
		case **float64:
			r.cells[i].number = slot
		}
	}
	return r
}

// member finds a member by its path, making the structs on the way. Images are all made at once, so
// that none moves.
func member(v reflect.Value, path []string) reflect.Value {
	for field := range v.Type().Fields() {
		if jsonName(field) != path[0] {
			continue
		}
		f := v.FieldByIndex(field.Index)
		switch {
		case f.Kind() == reflect.Slice:
			if f.IsNil() {
				f.Set(reflect.MakeSlice(f.Type(), maxImages, maxImages))
			}
			n, _ := strconv.Atoi(path[1])
			return member(f.Index(n), path[2:])
		case len(path) == 1:
			return f
		case f.IsNil():
			f.Set(reflect.New(f.Type().Elem()))
		}
		return member(f.Elem(), path[1:])
	}
	panic("batch: no column " + strings.Join(path, ".")) // the header has been checked
}

// set puts a cell's value into its member; an empty cell is a member that is missing. ok is false if
// the member is a number and the value is none, which leaves it missing.
func (r *row) set(i int, value string) (ok bool) {
	c := &r.cells[i]
	if c.text != nil {
		*c.text = nil
		if value != "" {
			c.s = value
			*c.text = &c.s
		}
		return true
	}
	*c.number = nil
	value = strings.TrimSpace(value)
	if value == "" {
		return true
	}
	f, ok := parseNumber(value)
	if ok {
		c.f = f
		*c.number = &c.f
	}
	return ok
}

// parseNumber reads a decimal number. It takes the apostrophe that catalog.SafeCell puts before a
// sign, and the sign of minus that typographers use.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimPrefix(s, "'")
	if rest, ok := strings.CutPrefix(s, "−"); ok {
		s = "-" + rest
	}
	for i := range len(s) { // ParseFloat also reads Inf, NaN, hexadecimal and underscores
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// header matches the names in a CSV's first row with columns. Capitals, spaces around and
// spaces for underscores do not matter.
func header(kind Kind, names []string) ([]string, error) {
	known := Columns(kind)
	index := map[string]bool{}
	for _, k := range known {
		index[k] = true
	}
	columns := make([]string, len(names))
	first := map[string]int{}
	var wrong []string
	hopeless := true
	for i, name := range names {
		c := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), " ", "_")
		before, twice := first[c]
		hopeless = hopeless && !index[c] && suggestion(kind, c) == ""
		switch {
		case c == "":
			wrong = append(wrong, fmt.Sprintf("column %d has no name: name it or leave it out", i+1))
		case !index[c]:
			wrong = append(wrong, unknown("column", kind, name))
		case twice:
			wrong = append(wrong, fmt.Sprintf("columns %d and %d are both %s: leave one", before+1, i+1, c))
		}
		first[c] = i
		columns[i] = c
	}
	if hopeless {
		return nil, malformed("none of the names in the file's first row is known: it must name the columns, as sku,gtin,frame.size (comma, semicolon or tab between)")
	}
	if most := 10; len(wrong) > most {
		wrong = append(wrong[:most], fmt.Sprintf("and %d more", len(wrong)-most))
	}
	if len(wrong) > 0 {
		return nil, malformed(strings.Join(wrong, "; "))
	}
	return columns, nil
}

// unknown says that a name is not known, and which one may be meant.
func unknown(what string, kind Kind, name string) string {
	if len(name) > 40 {
		name = name[:40]
	}
	switch s := suggestion(kind, strings.ToLower(name)); s {
	case "":
		return fmt.Sprintf("unknown %s %q: leave it out, or rename it to one of those known", what, name)
	case string(Products):
		return fmt.Sprintf("unknown %s %q: products have it, and the file is checked as one of companies", what, name)
	case string(Companies):
		return fmt.Sprintf("unknown %s %q: companies have it, and the file is checked as one of products", what, name)
	default:
		return fmt.Sprintf("unknown %s %q: did you mean %s?", what, name, s)
	}
}

// otherNames are what columns are called elsewhere.
var otherNames = map[string]string{
	"ean": "gtin", "ean13": "gtin", "upc": "gtin", "barcode": "gtin", "article_number": "sku", "price": "price.amount_minor",
}

// suggestion gives the known name that may be meant by one that is not, the kind that has it if
// that is another, or "".
func suggestion(kind Kind, name string) string {
	other := Companies
	if kind == Companies {
		other = Products
	}
	if slices.Contains(Columns(other), name) {
		return string(other)
	}
	if known, ok := otherNames[name]; ok && slices.Contains(Columns(kind), known) {
		return known
	}
	return nearest(name, Columns(kind))
}

// nearest gives the known name with the fewest edits from name, "" if none is near. The last part of a
// name is near by itself: size means frame.size.
func nearest(name string, known []string) string {
	best, least := "", 1+max(2, len(name)/3)
	for _, k := range known {
		d := min(edits(name, k), edits(name, k[strings.LastIndexByte(k, '.')+1:])+1)
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
