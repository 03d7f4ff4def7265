package middleware

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/abuse"
)

// Watch tells observe what came of the requests of those who are signed in: things that were
// not found, created and deleted; observe sets the events' time. It must stand next to a http.ServeMux, whose patterns
// say what is an id; where there is none, nothing counts as not found.
func Watch(observe func(abuse.Event)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, ok := makerguard.PrincipalFrom(r.Context())
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			rec := record(w)
			next.ServeHTTP(rec, r)
			if e, ok := Outcome(r.Context(), p, r.Method, r.Pattern, r.URL.Path, rec.status); ok {
				observe(e)
			}
		})
	}
}

// Outcome gives the event that an answered request stands for, without its time; false if
// there is none. The pattern is that of its route, in which braces stand for an id.
func Outcome(ctx context.Context, p *makerguard.Principal, method, pattern, path string, status int) (abuse.Event, bool) {
	var kind abuse.EventKind
	switch {
	case p == nil:
		return abuse.Event{}, false
	case status == http.StatusNotFound && strings.Contains(pattern, "{"):
		kind = abuse.Missed
	case status == http.StatusCreated && (method == http.MethodPost || method == http.MethodPut):
		kind = abuse.Created
	case method == http.MethodDelete && (status == 0 || status >= 200 && status < 300): // 0: the handler wrote nothing
		kind = abuse.Deleted
	default:
		return abuse.Event{}, false
	}
	return eventOf(ctx, kind, p, path), true
}

// Admitted gives the event that a request stands for of which only is known that it was let
// through, without its time; false if there is none.
func Admitted(ctx context.Context, p *makerguard.Principal, method, path string, meters []makerguard.Meter) (abuse.Event, bool) {
	switch {
	case p == nil:
	case method == http.MethodDelete:
		return eventOf(ctx, abuse.Deleted, p, path), true
	case slices.Contains(meters, makerguard.ProductUploads):
		return eventOf(ctx, abuse.Created, p, path), true
	}
	return abuse.Event{}, false
}

func eventOf(ctx context.Context, kind abuse.EventKind, p *makerguard.Principal, path string) abuse.Event {
	return abuse.Event{
		Kind: kind, Address: makerguard.ClientFrom(ctx).IP, ManufacturerID: p.ManufacturerID, MemberID: p.MemberID,
		Credential: string(p.SessionID), Object: path,
	}
}
