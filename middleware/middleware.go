// Package middleware is the edge of every request, as net/http middleware: where it
// comes from, recovery and log, who makes it, whether it is an attack, whether it is
// permitted and within its limits. The same pieces serve the library (guard.Handler),
// the HTTP API and the gateway.
//
// Only this package puts a principal into a request's context; handlers only read it.
// It does not protect what is mounted outside of it, and it trusts forwarding
// headers of the proxies named in Proxies alone.
package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/problem"
)

// Observer is told of every finished request; it feeds the metrics. The pattern is the
// route's, never the path, so that its values are few.
type Observer interface {
	ObserveRequest(method, pattern string, status int, took time.Duration)
}

// Edge is the outermost middleware: it gives every request an id and a client,
// recovers from panics with a 500 that tells nothing, sets the headers every
// answer carries, and logs one line when the request is done.
type Edge struct {
	Proxies  Proxies      // whose forwarding headers count; the zero value trusts nobody
	Logger   *slog.Logger // nil discards
	Observer Observer     // nil observes nothing
	Now      func() time.Time
	// Quiet, if set, tells requests whose good answers are logged at the level debug only.
	Quiet func(*http.Request) bool
}

// Handler wraps next.
func (e Edge) Handler(next http.Handler) http.Handler {
	logger, now := e.Logger, e.Now
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := now()
		v := &visit{
			Visit: makerguard.Visit{
				Context: r.Context(),
				Client:  makerguard.Client{IP: e.Proxies.ClientIP(r), UserAgent: printable(r.UserAgent(), 256), RequestID: id.New("req")},
			},
			recorder: recorder{ResponseWriter: w},
		}
		client, rec := &v.Client, &v.recorder
		v.requestID[0] = client.RequestID
		r = r.WithContext(&v.Visit)
		h := w.Header()
		h["X-Request-Id"] = v.requestID[:]
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel panic value, never wrapped
					panic(p)
				}
				logger.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", client.RequestID),
					slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				if rec.status == 0 {
					problem.Write(rec, makerguard.Internal, client.RequestID)
				}
			}
			status := rec.status
			if status == 0 {
				status = http.StatusOK
			}
			level := slog.LevelInfo
			if status < http.StatusBadRequest && e.Quiet != nil && e.Quiet(r) {
				level = slog.LevelDebug
			}
			logged := logger.Enabled(r.Context(), level)
			if e.Observer == nil && !logged {
				return
			}
			took := now().Sub(start)
			if e.Observer != nil {
				e.Observer.ObserveRequest(r.Method, r.Pattern, status, took)
			}
			if logged {
				logger.LogAttrs(r.Context(), level, "request",
					slog.String("request_id", client.RequestID), slog.String("method", printable(r.Method, 16)),
					slog.String("path", printable(r.URL.Path, 256)), slog.Int("status", status),
					slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("ip", client.IP))
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// The values are shared by all answers; nobody may change them.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
)

// visit is what Edge keeps of one request, in one piece.
type visit struct {
	makerguard.Visit
	recorder
	requestID [1]string // the value of X-Request-Id
}

// recorder remembers the status of an answer: for log and metrics, and for whoever acts on what
// became of the request.
type recorder struct {
	http.ResponseWriter
	status int
}

// record gives a recorder of what is written to w: the one that w is already, or one around it.
func record(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w}
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 { // 1xx are not the answer yet
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the writer below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// fail answers with err as a problem and logs the cause of what is not the
// caller's fault.
func fail(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) {
	client := makerguard.ClientFrom(r.Context())
	LogFailure(r.Context(), logger, err)
	SetRefusal(w.Header(), err)
	problem.Write(w, err, client.RequestID)
}

// LogFailure logs the whole chain of an error that is answered with a 5xx; what the
// caller did wrong needs no log line besides the request's own.
func LogFailure(ctx context.Context, logger *slog.Logger, err error) {
	if problem.Status(makerguard.CodeOf(err)) < http.StatusInternalServerError || logger == nil {
		return
	}
	logger.LogAttrs(ctx, slog.LevelError, "request failed",
		slog.String("request_id", makerguard.ClientFrom(ctx).RequestID), slog.String("error", err.Error()))
}

// printable caps s at limit bytes and replaces what could forge or garble a log line.
func printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			b[i] = '?'
		}
	}
	return string(b)
}
