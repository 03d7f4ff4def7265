package batch

import (
	"context"
	"io"
	"runtime"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV    Format = "csv"    // RFC 4180 in UTF-8, with a header; comma, semicolon or tab between cells
	NDJSON Format = "ndjson" // one JSON object a line
)

// Kind is what the rows of a file are.
type Kind string

// The kinds.
const (
	Products  Kind = "product"
	Companies Kind = "company"
)

// Rules of files, besides those of package catalog. Their problems are errors.
const (
	RuleFormat = "format" // the row or cell can be read
	RuleUnique = "unique" // no other row has this SKU or GTIN
)

// source of both.
const source = "makerguard"

// MaxRow bounds the length of a row in bytes. A longer one is a problem, and is skipped.
const MaxRow = 1 << 20

// MaxUnique bounds how many different values of a column Config.Unique keeps in mind.
const MaxUnique = 5_000_000

// Config says what to check and where to put what is found.
type Config struct {
	Format Format // CSV or NDJSON
	Kind   Kind   // default Products
	// Validator checks each row. If its Now is zero, it is the time of the call of Run.
	Validator catalog.Validator
	Workers   int // goroutines that check rows; default runtime.GOMAXPROCS(0)
	// Unique also looks for SKUs and GTINs of products that stand in an earlier row. It is
	// not constant in memory: it keeps 64 bits of a hash and the row for each different
	// value, up to 180 MiB for each of the two columns at MaxUnique values, and does not
	// look at values after those (Summary.UniqueUntil tells). Two different values are taken
	// for one with a probability below one in a million.
	Unique bool
	// Problem is called for each problem, in the order of the rows, by one goroutine at a
	// time. An error ends the run. Nil: problems are only counted.
	Problem func(Problem) error
	// Progress is called now and then, by the goroutine that calls Problem. May be nil.
	Progress func(Progress)
}

// Problem is a problem of one row.
type Problem struct {
	catalog.Problem
	// Row is counted as a spreadsheet does: a CSV's header is row 1. Line is the line of the file
	// the row begins at, which is another number behind cells of several lines.
	Row, Line int64
	Column    string // the column's name as the CSV's header has it, else the JSON pointer
	Value     string // what stands there, at most 80 bytes; "" for a NDJSON row
}

// Progress tells how far a run has come.
type Progress struct {
	Bytes int64 // of the file
	Rows  int64 // checked, without header and empty lines
}

// Summary counts what a run found.
type Summary struct {
	Rows        int64       `json:"rows"`
	RowsInError int64       `json:"rows_with_errors"`
	Errors      int64       `json:"errors"`
	Warnings    int64       `json:"warnings"`
	Rules       []RuleCount `json:"rules"` // most frequent first
	// UniqueUntil is the row after which values were not compared any more, since MaxUnique
	// was reached; 0 if all were.
	UniqueUntil   int64         `json:"unique_until_row,omitempty"`
	Duration      time.Duration `json:"-"`
	RowsPerSecond int64         `json:"rows_per_second"`
}

// RuleCount counts the problems of one rule and severity.
type RuleCount struct {
	Rule     string           `json:"rule"`
	Severity catalog.Severity `json:"severity"`
	Count    int64            `json:"count"`
	FirstRow int64            `json:"first_row"`
	Message  string           `json:"message"` // of the first
}

// Run checks the file that r reads. It returns an error, with what was counted until
// then, if r fails, ctx ends, Problem fails, or the file cannot be understood at all
// (MalformedRequest): a CSV without a header or with columns that are not known. When ctx
// ends Run returns at once; a Read that is waiting then is left to itself.
func Run(ctx context.Context, r io.Reader, c Config) (Summary, error) {
	if c.Kind == "" {
		c.Kind = Products
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	start := time.Now()
	if c.Validator.Now.IsZero() {
		c.Validator.Now = start
	}
	if c.Unique && c.Kind != Products {
		return Summary{}, malformed("only products have a SKU and a GTIN to look for twice")
	}
	p := &pipeline{config: c, counts: map[countKey]*RuleCount{}}
	if c.Unique {
		p.seen = newSeen()
	}
	err := p.run(ctx, r)
	s := p.summary()
	s.Duration = time.Since(start)
	if seconds := s.Duration.Seconds(); seconds > 0 {
		s.RowsPerSecond = int64(float64(s.Rows) / seconds)
	}
	return s, err
}

func malformed(message string) error {
	return &makerguard.Error{Code: makerguard.MalformedRequest, Message: message}
}
