package batch_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/makerguard/makerguard/catalog/batch"
)

const tenColumns = "sku,name,product_type,gtin,hs_code,country_of_origin,price.amount_minor,price.currency,frame.size,frame.material\n"

// appendRow writes the n-th row of a catalogue of sunglasses; one in a hundred has a wrong price.
func appendRow(b []byte, n int) []byte {
	const body = 805689000000
	digits := strconv.AppendInt(nil, int64(body+n), 10)
	sum, weight := 0, 3
	for i := len(digits) - 1; i >= 0; i-- {
		sum += int(digits[i]-'0') * weight
		weight = 4 - weight
	}
	b = append(b, "AB-"...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ",Aviator classic with case,sunglasses,"...)
	b = append(b, digits...)
	b = append(b, byte('0'+(10-sum%10)%10))
	b = append(b, ",90041010,IT,"...)
	b = strconv.AppendInt(b, int64(9900+n%5000), 10)
	if n%100 == 0 {
		b = append(b, ".5"...)
	}
	return append(b, ",EUR,52□18 140,metal\n"...)
}

// rows reads as a file of so many rows that is never in memory.
type rows struct {
	n, count int
	buf      []byte
}

func (r *rows) Read(p []byte) (int, error) {
	if len(r.buf) == 0 {
		if r.n == 0 {
			r.buf = append(r.buf, tenColumns...)
		}
		if r.n == r.count {
			return 0, io.EOF
		}
		for ; r.n < r.count && len(r.buf) < 32<<10; r.n++ {
			r.buf = appendRow(r.buf, r.n)
		}
	}
	n := copy(p, r.buf)
	r.buf = r.buf[:copy(r.buf, r.buf[n:])]
	return n, nil
}

// A million rows stream through in constant memory, and fast.
func TestRun_MemoryIsConstant(t *testing.T) {
	count := 1_000_000
	if testing.Short() || raceEnabled {
		count = 100_000
	}
	const bound = 32 << 20
	var before, m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	pieces, peak := 0, uint64(0)
	s, err := batch.Run(t.Context(), &rows{count: count}, batch.Config{Format: batch.CSV, Progress: func(batch.Progress) {
		if pieces++; pieces%16 == 0 {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc-min(m.HeapAlloc, before.HeapAlloc))
		}
	}})
	if err != nil || s.Rows != int64(count) || s.Errors != int64(count/100) || s.Warnings != 0 {
		t.Fatalf("%+v, %v, want %d rows with %d errors", s, err, count, count/100)
	}
	t.Logf("%d rows, %d rows/s, heap at most %d KiB more", s.Rows, s.RowsPerSecond, peak>>10)
	if peak > bound {
		t.Errorf("the heap grew by %d bytes, want at most %d", peak, bound)
	}
}

func benchmarkRun(b *testing.B, file []byte, rows int, c batch.Config) {
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := batch.Run(b.Context(), bytes.NewReader(file), c)
		if err != nil || s.Rows != int64(rows) {
			b.Fatalf("%+v, %v", s, err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func tenColumnFile(b *testing.B, count int) []byte {
	b.Helper()
	file, err := io.ReadAll(&rows{count: count})
	if err != nil {
		b.Fatal(err)
	}
	return file
}

// BenchmarkRun_CSV checks ten columns, of which one row in a hundred has an error.
func BenchmarkRun_CSV(b *testing.B) {
	file := tenColumnFile(b, 200_000)
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			benchmarkRun(b, file, 200_000, batch.Config{Format: batch.CSV, Workers: workers})
		})
	}
	b.Run("unique", func(b *testing.B) {
		benchmarkRun(b, file, 200_000, batch.Config{Format: batch.CSV, Unique: true})
	})
}

// BenchmarkRun_AllWrong has an error in five of ten cells of each row, written to an error file.
func BenchmarkRun_AllWrong(b *testing.B) {
	file := []byte(tenColumns + strings.Repeat("-A,x,sunglasses,4006381333932,9003,UK,1.5,HRK,52-18,metal\n", 50_000))
	out, err := batch.NewErrorFile(io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkRun(b, file, 50_000, batch.Config{Format: batch.CSV, Problem: out.Write})
}

func BenchmarkRun_NDJSON(b *testing.B) {
	line := `{"sku":"AB-1","name":"Aviator classic with case","product_type":"sunglasses","gtin":"8056890123451","hs_code":"900410","country_of_origin":"IT","price":{"amount_minor":9900,"currency":"EUR"},"frame":{"size":"52□18 140","material":"metal"}}` + "\n"
	benchmarkRun(b, []byte(strings.Repeat(line, 50_000)), 50_000, batch.Config{Format: batch.NDJSON})
}
