package batch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/catalog/batch"
)

var today = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// run checks a file and gives each problem in a line: row, line, column, rule, value.
func run(t testing.TB, r io.Reader, c batch.Config) (batch.Summary, []string) {
	t.Helper()
	var found []string
	c.Validator.Now = today
	c.Problem = func(p batch.Problem) error {
		found = append(found, fmt.Sprintf("%d %d %s %s %s", p.Row, p.Line, p.Column, p.Rule, p.Value))
		if p.Message == "" || p.Source == "" || p.Severity == "" {
			t.Errorf("problem %+v", p)
		}
		return nil
	}
	s, err := batch.Run(t.Context(), r, c)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return s, found
}

func TestRun_SaysWhatIsWrongInWhichRow(t *testing.T) {
	const good = "8056890123451"
	for name, tc := range map[string]struct {
		config batch.Config
		file   string
		want   []string
		rows   int64
	}{
		"all right":                     {file: "sku,gtin\nA1," + good + "\nA2,4006381333931\n", rows: 2},
		"no rows":                       {file: "sku,gtin\n"},
		"no line end":                   {file: "sku,gtin\nA1," + good, rows: 1},
		"wrong digit":                   {file: "sku,gtin\nA1," + good + "\nA2,4006381333932\n", want: []string{"3 3 gtin gtin 4006381333932"}, rows: 2},
		"nested members and bad number": {file: "frame.size,price.amount_minor,price.currency\n52-18-140,12.5,EUR\n52-18,\"1,000\",HRK\n", want: []string{"2 2 price.amount_minor money 12.5", "3 3 price.amount_minor format 1,000", "3 3 price.currency currency HRK", "3 3 frame.size frame.size 52-18"}, rows: 2},
		"numbers as people write them":  {file: "rx.sphere,rx.cylinder,rx.axis\n+2.00,−1.00,180\n'-2.00, ,\n", rows: 2},
		"what is no number here":        {file: "rx.sphere\nNaN\ninf\n0x10\n1_0\n", want: []string{"2 2 rx.sphere format NaN", "3 3 rx.sphere format inf", "4 4 rx.sphere format 0x10", "5 5 rx.sphere format 1_0"}, rows: 4},
		"empty cells are missing":       {file: "product_type,gtin\nsunglasses,\n,\n", want: []string{"2 2 gtin udi.us "}, rows: 2},
		"a missing column":              {file: "product_type\nsunglasses\n", want: []string{"2 2 gtin udi.us "}, rows: 1},
		"images":                        {file: "images.0.name,images.1.name,images.1.content_type\na.png,b.svg,\n,b.png,image/gif\n", want: []string{"2 2 images.1.name upload b.svg", "3 3 images.1.content_type upload image/gif"}, rows: 2},
		"semicolons, BOM, CRLF":         {file: "\ufeffSKU;Country of origin\r\nA1;DE\r\nA2;UK\r\n", want: []string{"3 3 Country of origin country UK"}, rows: 2},
		"tabs":                          {file: "sku\tgtin\nA1\t1\n", want: []string{"2 2 gtin gtin 1"}, rows: 1},
		"cells of several lines":        {file: "description,gtin\n\"one\ntwo\nthree\"," + good + "\nx,1\n", want: []string{"3 5 gtin gtin 1"}, rows: 2},
		"empty lines":                   {file: "sku,gtin\n\nA1," + good + "\n\r\nA2,1\n", want: []string{"5 5 gtin gtin 1"}, rows: 2},
		"quotes within quotes":          {file: "name,gtin\n\"6\"\" wide\",1\n", want: []string{"2 2 gtin gtin 1"}, rows: 1},
		"too few and too many cells":    {file: "sku,gtin\nA1\nA1," + good + ",x\nA2,1\n", want: []string{"2 2  format ", "3 3  format ", "4 4 gtin gtin 1"}, rows: 3},
		"a mark in a bare cell":         {file: "name,gtin\n6\" wide,1\nx,1\n", want: []string{"2 2  format ", "3 3 gtin gtin 1"}, rows: 2},
		"text behind a quoted cell":     {file: "name,gtin\n\"a\"b,\"1\nx,1\n", want: []string{"2 2  format ", "3 3 gtin gtin 1"}, rows: 2},
		"a mark that nothing ends":      {file: "name,gtin\n\"abc,1\nx,1\ny,2\n", want: []string{"2 2  format ", "3 3 gtin gtin 1", "4 4 gtin gtin 2"}, rows: 3},
		"not UTF-8":                     {file: "name,gtin\nBrille \xe4,1\nx,1\n", want: []string{"2 2  format ", "3 3 gtin gtin 1"}, rows: 2},
		"a value that is long":          {file: "gtin\n" + strings.Repeat("ä", 100) + "\n", want: []string{"2 2 gtin gtin " + strings.Repeat("ä", 40)}, rows: 1},
		"companies": {
			config: batch.Config{Kind: batch.Companies}, file: "name,vat,iban\nA,DE136695976,DE89370400440532013000\nB,DE136695978,\n",
			want: []string{"3 3 vat vat.DE DE136695978"}, rows: 2,
		},
		"a price above the cap": {
			config: batch.Config{Validator: catalog.Validator{PriceCaps: map[string]int64{"EUR": 100}}},
			file:   "price.amount_minor,price.currency\n101,EUR\n101,USD\n", want: []string{"2 2 price.amount_minor upload 101"}, rows: 2,
		},
		"NDJSON": {
			config: batch.Config{Format: batch.NDJSON},
			file:   "{\"gtin\":\"1\"}\n\n{\"gtin\":\"" + good + "\",\"frame\":{\"size\":\"52-18\"}}\r\n{\"gtinn\":\"1\"}\n{\"gtin\":\"1\",\"gtin\":\"1\"}\n{\"gtin\":1}\n[]\n{\"gtin\":\"1\"",
			want:   []string{"1 1 /gtin gtin ", "3 3 /frame/size frame.size ", "4 4 /gtinn format ", "5 5 /gtin format ", "6 6 /gtin format ", "7 7  format ", "8 8  format "}, rows: 7,
		},
		"NDJSON of companies": {
			config: batch.Config{Format: batch.NDJSON, Kind: batch.Companies},
			file:   "\ufeff{\"country\":\"UK\"}\n", want: []string{"1 1 /country country "}, rows: 1,
		},
		"twice": {
			config: batch.Config{Unique: true},
			file:   "sku,gtin\na1," + good + "\nA1,36000291452\nA2,0" + good + "\nA2,1\n,\n",
			want:   []string{"3 3 gtin gtin 36000291452", "3 3 sku unique ", "4 4 gtin unique ", "5 5 gtin gtin 1", "5 5 sku unique "}, rows: 5,
		},
		"twice in NDJSON": {
			config: batch.Config{Unique: true, Format: batch.NDJSON},
			file:   "{\"sku\":\"A\"}\n{\"sku\":\"a\"}\n", want: []string{"2 2 /sku unique "}, rows: 2,
		},
	} {
		if tc.config.Format == "" {
			tc.config.Format = batch.CSV
		}
		s, got := run(t, strings.NewReader(tc.file), tc.config)
		if diff := cmp.Diff(tc.want, got); diff != "" || s.Rows != tc.rows {
			t.Errorf("%s: %d rows, want %d; -want +got\n%s", name, s.Rows, tc.rows, diff)
		}
		// However the reads fall, the answer is the same.
		if _, again := run(t, iotest.OneByteReader(strings.NewReader(tc.file)), tc.config); !cmp.Equal(got, again) {
			t.Errorf("%s, read byte by byte: %v, want %v", name, again, got)
		}
	}
}

func TestRun_CountsByRule(t *testing.T) {
	file := "sku,gtin,product_type,gmn\nA1,1,,\nA2,2,,\n,,frame,805689FRIMMET52XT\n"
	got, _ := run(t, strings.NewReader(file), batch.Config{Format: batch.CSV, Unique: true})
	if got.RowsPerSecond <= 0 || got.Duration <= 0 {
		t.Errorf("no speed: %+v", got)
	}
	got.RowsPerSecond, got.Duration = 0, 0
	want := batch.Summary{
		Rows: 3, RowsInError: 2, Errors: 2, Warnings: 2,
		Rules: []batch.RuleCount{
			{Rule: "gtin", Severity: "error", Count: 2, FirstRow: 2, Message: "a GTIN has 8, 12, 13 or 14 digits, this has 1"},
			{Rule: "udi.eu", Severity: "warning", Count: 1, FirstRow: 4, Message: "frames made from November 2028 need a Master UDI-DI in the EU"},
			{Rule: "udi.us", Severity: "warning", Count: 1, FirstRow: 4, Message: "give a GTIN (UPC): it serves as the device identifier in the United States"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary: -want +got\n%s", diff)
	}
}

func TestRun_RefusesWhatCannotBeUnderstood(t *testing.T) {
	for file, says := range map[string]string{
		"":                            "the file is empty",
		"\n\n":                        "must name the columns",
		"skuu,gtin\n":                 `unknown column "skuu": did you mean sku?`,
		"size\n":                      `unknown column "size": did you mean frame.size?`,
		"frame.sizes\n":               "did you mean frame.size?",
		"sku,colour of the temples\n": `unknown column "colour of the temples": leave it out`,
		"A1,4006381333931\nA2,1\n":    "none of the names in the file's first row is known",
		"sku|gtin\nA1|1\n":            "comma, semicolon or tab",
		"Artikel;EAN\nA1;1\n":         `unknown column "EAN": did you mean gtin?`,
		"name,vat\nA,DE136695976\n":   `unknown column "vat": companies have it`,
		"sku,gtin\rA1,1\rA2,2\r":      "carriage return alone",
		"s\x00k\x00u\x00\n\x00":       "UTF-16",
		"PK\x03\x04\x14\x00":          "a spreadsheet's own",
		"\xd0\xcf\x11\xe0\xa1\xb1":    "a spreadsheet's own",
		"\x1f\x8b\x08\x00\n":          "compressed",
		"sku,\n":                      "has no name",
		"sku,gtin,SKU\n":              "columns 1 and 3 are both sku",
		"images.10.name\n":            "did you mean images.0.name",
		"\xff\xfes\x00k\x00u\x00\n":   "UTF-16",
		"Gr\xf6\xdfe\n":               "UTF-8",
		"\"sku\n":                     "quotation marks",
		strings.Repeat("sku", 90_000): "too long",
	} {
		_, err := batch.Run(t.Context(), strings.NewReader(file), batch.Config{Format: batch.CSV})
		if !errors.Is(err, makerguard.MalformedRequest) || !strings.Contains(err.Error(), says) {
			t.Errorf("Run(%.40q) = %v, want MALFORMED_REQUEST that says %q", file, err, says)
		}
	}
	for file, says := range map[string]string{
		"[{\"sku\":\"A1\"},\n{\"sku\":\"A2\"}]\n": "NDJSON has one object a line",
		"{\n\"sku\": \"A1\"\n}\n":                 "NDJSON has one object a line",
		"\xff\xfe{\x00}\x00\n\x00":                "UTF-16",
		"\x1f\x8b\x08\x00\n":                      "compressed",
	} {
		_, err := batch.Run(t.Context(), strings.NewReader(file), batch.Config{Format: batch.NDJSON})
		if !errors.Is(err, makerguard.MalformedRequest) || !strings.Contains(err.Error(), says) {
			t.Errorf("Run(%.40q) = %v, want MALFORMED_REQUEST that says %q", file, err, says)
		}
	}
	_, err := batch.Run(t.Context(), strings.NewReader("vat\n"), batch.Config{Format: batch.CSV, Kind: batch.Companies, Unique: true})
	if !errors.Is(err, makerguard.MalformedRequest) {
		t.Errorf("unique companies: %v, want MALFORMED_REQUEST", err)
	}
}

func TestRun_SaysWhichKindOfValueAMemberHas(t *testing.T) {
	for line, says := range map[string]string{
		`{"gtin":4006381333931}`:              "the member is a text: put it between quotation marks",
		`{"price":{"amount_minor":"12990"}}`:  "the member is a number: write it without quotation marks",
		`{"price":12990}`:                     "shape",
		`{"vat":"DE136695976"}`:               `unknown member "vat": companies have it`,
		`{"frame":{"sizes":"52□18 140"}}`:     "did you mean frame.size?",
		`{"sku":null,"price":null,"rx":null}`: "",
	} {
		said := ""
		c := batch.Config{Format: batch.NDJSON, Problem: func(p batch.Problem) error { said += p.Message; return nil }}
		if _, err := batch.Run(t.Context(), strings.NewReader(line), c); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(said, says) || says == "" && said != "" {
			t.Errorf("of %s it says %q, want %q", line, said, says)
		}
	}
}

func TestRun_EndsWithItsContextReaderAndCallback(t *testing.T) {
	broken := errors.New("the disk is gone")
	file := io.MultiReader(strings.NewReader("gtin\n1\n"), iotest.ErrReader(broken))
	if _, err := batch.Run(t.Context(), file, batch.Config{Format: batch.CSV}); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v, want its error", err)
	}
	full := errors.New("no space left")
	_, err := batch.Run(t.Context(), strings.NewReader("gtin\n1\n"), batch.Config{Format: batch.CSV, Problem: func(batch.Problem) error { return full }})
	if !errors.Is(err, full) {
		t.Errorf("a callback that fails: %v, want its error", err)
	}
	// A Read that never returns does not keep Run.
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		fmt.Fprint(w, "gtin\n1\n")
		cancel()
	}()
	if _, err := batch.Run(ctx, r, batch.Config{Format: batch.CSV}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want context.Canceled", err)
	}
}

func TestRun_RowsLongerThanTheLimitAreSkipped(t *testing.T) {
	long := strings.Repeat("x", batch.MaxRow+10)
	open := "\"" + strings.Repeat("two words\n", batch.MaxRow/10) // a mark that nothing ends, in front of good rows
	for name, tc := range map[string]struct {
		format batch.Format
		file   string
		want   []string
	}{
		"long row":               {batch.CSV, "name,gtin\n" + long + ",1\nx,1\n", []string{"2 2  format ", "3 3 gtin gtin 1"}},
		"long row at the end":    {batch.CSV, "name,gtin\nx,1\n" + long, []string{"2 2 gtin gtin 1", "3 3  format "}},
		"much longer":            {batch.CSV, "name,gtin\n" + long + long + long + "\nx,1\n", []string{"2 2  format ", "3 3 gtin gtin 1"}},
		"long line of NDJSON":    {batch.NDJSON, long + "\n{\"gtin\":\"1\"}\n", []string{"1 1  format ", "2 2 /gtin gtin "}},
		"just as long as may be": {batch.CSV, "name,gtin\n" + long[:batch.MaxRow-3] + ",1\n", []string{"2 2 gtin gtin 1"}},
	} {
		if _, got := run(t, strings.NewReader(tc.file), batch.Config{Format: tc.format}); !cmp.Equal(tc.want, got) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	s, got := run(t, strings.NewReader("name\n"+open+open), batch.Config{Format: batch.CSV})
	if s.Rows < 200_000 || len(got) != 2 || !strings.HasPrefix(got[0], "2 2  format") {
		t.Errorf("an open mark: %d rows and %v, want the row with it only", s.Rows, got)
	}
}

// The progress ends with the whole file, and problems come in the order of the rows, on any
// number of workers.
func TestRun_KeepsTheOrder(t *testing.T) {
	var b strings.Builder
	b.WriteString("description,gtin\n")
	for i := range 60_000 {
		if i%7 == 0 {
			b.WriteString("\"a\n\"\"b\"\"\"")
		}
		fmt.Fprintf(&b, ",%d\n", i)
	}
	for _, workers := range []int{1, 2, 7} {
		var last batch.Progress
		row := int64(1)
		s, err := batch.Run(t.Context(), strings.NewReader(b.String()), batch.Config{
			Format: batch.CSV, Workers: workers, Progress: func(p batch.Progress) { last = p },
			Problem: func(p batch.Problem) error {
				if row++; p.Row != row || p.Value != fmt.Sprint(p.Row-2) {
					return fmt.Errorf("row %d has %q, want row %d", p.Row, p.Value, row)
				}
				return nil
			},
		})
		if want := (batch.Progress{Bytes: int64(b.Len()), Rows: 60_000}); err != nil || last != want || s.RowsInError != 60_000 {
			t.Errorf("%d workers: %v, progress %+v, want %+v; %d rows in error", workers, err, last, want, s.RowsInError)
		}
	}
}

func ExampleRun() {
	file := strings.NewReader("sku,gtin\nAB-1,4006381333931\nAB-2,4006381333932\n")
	summary, err := batch.Run(context.Background(), file, batch.Config{Format: batch.CSV, Problem: func(p batch.Problem) error {
		fmt.Println(p.Row, p.Column, p.Message, p.Expected)
		return nil
	}})
	fmt.Println(summary.Rows, summary.Errors, err)
	// Output:
	// 3 gtin the check digit is wrong 1
	// 2 1 <nil>
}
