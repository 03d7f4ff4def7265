package guard_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/guard"
)

func uploadProduct(w http.ResponseWriter, r *http.Request) {
	p, _ := makerguard.PrincipalFrom(r.Context())
	fmt.Fprintf(w, "uploaded for %s", p.ManufacturerID)
}

// A service in a few lines: request id, recovery, authentication and inspection around
// everything, a permission and a meter on one route.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "makerguard-example-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	g, err := guard.Open(ctx, guard.Config{Data: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	mux := http.NewServeMux()
	mux.Handle("POST /products", g.Require(makerguard.UploadProducts, makerguard.ProductUploads)(uploadProduct))
	handler := g.Handler(mux) // http.ListenAndServe(":8080", handler)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/products", nil))
	fmt.Println("without a token:", w.Code)
	// Output: without a token: 401
}
