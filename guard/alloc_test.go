package guard_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/makerguard/makerguard"
)

// What a request allocates is most of what the middleware costs beside its inspection. Who makes
// it more should know why.
func TestHandler_AllocatesLittleForARequest(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector changes what is allocated")
	}
	s, token := enterprise(t)
	mux := http.NewServeMux()
	mux.Handle("/products", s.Guard.Require(makerguard.UploadProducts, makerguard.ProductUploads)(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
	}))
	h := s.Guard.Handler(mux)
	for _, tc := range []struct {
		method, body string
		most         float64
	}{
		{http.MethodGet, "", 6},
		{http.MethodPost, `{"sku": "LUN-0142", "name": "Camille", "price": {"amount_minor": 12990, "currency": "EUR"}, "size": "52[]18-145"}`, 8},
	} {
		body := strings.NewReader(tc.body)
		r, err := http.NewRequestWithContext(t.Context(), tc.method, "/products?source=editor", io.NopCloser(body))
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr, r.ContentLength = "203.0.113.9:40000", int64(len(tc.body))
		r.Header = http.Header{
			"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Accept-Language": {"en-GB,en;q=0.8"},
			"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}, "Referer": {"https://market.example/products/new"},
		}
		w := &discard{header: http.Header{}}
		n := testing.AllocsPerRun(2000, func() {
			body.Reset(tc.body)
			clear(w.header)
			w.status = 0
			if h.ServeHTTP(w, r); w.status != http.StatusCreated {
				t.Fatalf("%s: status %d, want 201", tc.method, w.status)
			}
		})
		if n > tc.most {
			t.Errorf("%s with %d B allocates %v times, want at most %v", tc.method, len(tc.body), n, tc.most)
		}
	}
}
