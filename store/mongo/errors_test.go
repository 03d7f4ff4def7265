package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/mongo"
)

func command(code int32) error { return driver.CommandError{Code: code, Message: "of the server"} }

func refusedWrite(code int) error {
	return driver.WriteException{WriteErrors: driver.WriteErrors{{Code: code, Message: "of the server"}}}
}

func unconfirmed(code int) error {
	return driver.WriteException{WriteConcernError: &driver.WriteConcernError{Code: code, Message: "of the server"}}
}

// goal: V16.5.1 V16.5.2
func TestErrors_HaveACodeAndSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		name  string
		err   error
		code  makerguard.Code
		says  string
		again bool // tells when to try again
	}{
		{"no server", topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}, makerguard.StoreUnavailable, "cannot be reached", true},
		{"broken connection", topology.ConnectionError{Wrapped: errors.New("reset")}, makerguard.StoreUnavailable, "cannot be reached", true},
		{"network label", driver.CommandError{Labels: []string{"NetworkError"}}, makerguard.StoreUnavailable, "cannot be reached", true},
		{"HostUnreachable", command(6), makerguard.StoreUnavailable, "cannot be reached", true},
		{"wrong password", topology.ConnectionError{Wrapped: &auth.Error{}}, makerguard.StoreUnavailable, "does not accept the user", false},
		{"AuthenticationFailed", command(18), makerguard.StoreUnavailable, "does not accept the user", false},
		{"Unauthorized", command(13), makerguard.StoreUnavailable, "may not do this", false},
		{"NotWritablePrimary", command(10107), makerguard.StoreUnavailable, "no primary", true},
		{"PrimarySteppedDown", command(189), makerguard.StoreUnavailable, "no primary", true},
		{"NotPrimaryNoSecondaryOk", command(13435), makerguard.StoreUnavailable, "no primary", true},
		{"ShutdownInProgress", command(91), makerguard.StoreUnavailable, "no primary", true},
		{"InterruptedDueToReplStateChange", command(11602), makerguard.StoreUnavailable, "no primary", true},
		{"MaxTimeMSExpired", command(50), makerguard.StoreUnavailable, "in time", true},
		{"time limit", context.DeadlineExceeded, makerguard.StoreUnavailable, "in time", true},
		{"canceled", fmt.Errorf("waiting: %w", context.Canceled), makerguard.StoreUnavailable, "request ended", true},
		{"no connection", topology.WaitQueueTimeoutError{Wrapped: context.DeadlineExceeded}, makerguard.StoreUnavailable, "maxPoolSize", true},
		{"OutOfDiskSpace", refusedWrite(14031), makerguard.StoreUnavailable, "disk is full", false},
		{"WriteConflict", refusedWrite(112), makerguard.StoreUnavailable, "busy", true},
		{"write concern timed out", unconfirmed(64), makerguard.StoreUnavailable, "may have been made or not", false},
		{"write concern not met", unconfirmed(100), makerguard.StoreUnavailable, "may have been made or not", false},
		{"write concern, another", unconfirmed(4711), makerguard.StoreUnavailable, "may have been made or not", false},
		{"write concern, stepped down", unconfirmed(189), makerguard.StoreUnavailable, "no primary", true},
		{"closed", driver.ErrClientDisconnected, makerguard.StoreUnavailable, "closed", false},
		{"duplicate", refusedWrite(11000), makerguard.Conflict, "exists already", false},
		{"duplicate in findAndModify", command(11000), makerguard.Conflict, "exists already", false},
		{"BSONObjectTooLarge", command(10334), makerguard.PayloadTooLarge, "larger", false},
		{"DocumentValidationFailure", refusedWrite(121), makerguard.Internal, "", false},
		{"unknown", errors.New("what is this"), makerguard.Internal, "", false},
	} {
		err := mongo.WhenFailing("doing something", test.err)
		e, ok := errors.AsType[*makerguard.Error](err)
		if !ok || e.Code != test.code {
			t.Errorf("%s: %v, want code %q", test.name, err, test.code)
			continue
		}
		if !strings.Contains(e.Message, test.says) || strings.Contains(e.Message, "of the server") {
			t.Errorf("%s: message %q, want %q in it and none of the server's words", test.name, e.Message, test.says)
		}
		if (e.RetryAfter > 0) != test.again {
			t.Errorf("%s: RetryAfter %v, want some: %v", test.name, e.RetryAfter, test.again)
		}
		if !errors.Is(err, test.err) && !strings.Contains(err.Error(), "doing something") {
			t.Errorf("%s: %v, want the cause in it", test.name, err)
		}
	}
	typed := &makerguard.Error{Code: makerguard.NotFound}
	if got := mongo.WhenFailing("x", typed); got != error(typed) {
		t.Errorf("an error with a code became %v, want it kept", got)
	}
	if got := mongo.WhenFailing("x", nil); got != nil {
		t.Errorf("nil became %v", got)
	}
}

// TestErrors_OfARealDocument has the server itself refuse one.
func TestErrors_OfARealDocument(t *testing.T) {
	s := newStore(t)
	f := makerguard.Manufacturer{ID: "mfr_1", CompanyName: strings.Repeat("x", 17<<20), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	if err := s.EnsureManufacturer(t.Context(), f); makerguard.CodeOf(err) != makerguard.PayloadTooLarge {
		t.Errorf("EnsureManufacturer of 17 MiB = %.300v, want PAYLOAD_TOO_LARGE", err)
	}
}
