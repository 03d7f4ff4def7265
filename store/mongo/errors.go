package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/makerguard/makerguard"
)

// What to do about a database that cannot be used.
const (
	adviceAway     = "The database cannot be reached. Check that it runs and that its address in the URI is right; the store goes on by itself."
	adviceLogin    = "The database does not accept the user. Check name, password, authSource and mechanism in the URI."
	adviceRights   = "The database's user may not do this. Give it the role readWrite, and dbAdmin for the first start of a new version."
	advicePrimary  = "The database has no primary at the moment. Try again."
	adviceLate     = "The request ended before the database could answer it. Try again."
	adviceSlow     = "The database does not answer in time. Try again."
	advicePool     = "All connections to the database are in use. Try again, or raise maxPoolSize in its URI."
	adviceFull     = "The database's disk is full. Free some space; writing resumes by itself."
	adviceBusy     = "The database is busy with another change of the same. Try again."
	adviceUnsure   = "The database could not confirm the change, which may have been made or not. Check before you try again."
	adviceClosed   = "The store is closed."
	adviceReadOnly = "The database takes no writes. Check its disk and its state."
)

// adviceByCode is what to do about an error of the server, by its number in MongoDB's
// error_codes.yml.
var adviceByCode = map[int]string{
	6: adviceAway, 7: adviceAway, 89: adviceAway, 9001: adviceAway, // HostUnreachable, HostNotFound, NetworkTimeout, SocketException
	18: adviceLogin, 334: adviceLogin, // AuthenticationFailed, MechanismUnavailable
	13: adviceRights, 31: adviceRights, // Unauthorized, RoleNotFound
	91: advicePrimary, 189: advicePrimary, 10058: advicePrimary, 10107: advicePrimary, 11600: advicePrimary,
	11602: advicePrimary, 13435: advicePrimary, 13436: advicePrimary, // shutting down, stepped down, not primary, recovering
	50: adviceSlow, 262: adviceSlow, 202: adviceSlow, 24: adviceSlow, // MaxTimeMSExpired, ExceededTimeLimit, NetworkInterfaceExceededTimeLimit, LockTimeout
	64: adviceUnsure, 79: adviceUnsure, 100: adviceUnsure, // write concern: timed out, unknown, cannot be met
	112: adviceBusy, 46: adviceBusy, deadlockDetected: adviceBusy, // WriteConflict, LockBusy
	11601: adviceLate, // Interrupted
	14031: adviceFull, // OutOfDiskSpace
	20:    adviceReadOnly,
}

// deadlockDetected is what FerretDB (2.7) gives writes that want the same unique value at once,
// and internalError what it gives those that create the same index. It has undone what gets it.
const (
	deadlockDetected = 16908292
	internalError    = 1
)

// storeError gives err a code. Errors that have one keep it; nil stays nil.
func storeError(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*makerguard.Error](err); ok {
		return err
	}
	cause := fmt.Errorf("%s: %w", doing, err)
	if advice := adviceFor(err); advice != "" {
		e := &makerguard.Error{Code: makerguard.StoreUnavailable, Message: advice, Err: cause}
		switch advice {
		case adviceAway, adviceLate, adviceSlow, advicePrimary, advicePool, adviceBusy:
			e.RetryAfter = time.Second
		}
		return e
	}
	switch {
	case mongo.IsDuplicateKeyError(err):
		return &makerguard.Error{Code: makerguard.Conflict, Message: "It exists already.", Err: cause}
	case tooLarge(err):
		return &makerguard.Error{Code: makerguard.PayloadTooLarge, Message: "It is larger than what the database stores in one document.", Err: cause}
	}
	return &makerguard.Error{Code: makerguard.Internal, Err: cause}
}

// adviceFor tells what to do about a database that cannot be used, "" if err is not of that kind.
func adviceFor(err error) string {
	if advice := adviceOfServer(err); advice != "" {
		return advice
	}
	if _, ok := errors.AsType[*auth.Error](err); ok {
		return adviceLogin
	}
	switch {
	case errors.Is(err, mongo.ErrClientDisconnected):
		return adviceClosed
	case errors.Is(err, context.Canceled):
		return adviceLate
	case noConnection(err):
		return advicePool
	case noServer(err):
		return adviceAway
	case mongo.IsTimeout(err):
		return adviceSlow
	case mongo.IsNetworkError(err), noAnswer(err):
		return adviceAway
	}
	return ""
}

// adviceOfServer is adviceFor what the server itself said.
func adviceOfServer(err error) string {
	if we, ok := errors.AsType[mongo.WriteException](err); ok && we.WriteConcernError != nil && len(we.WriteErrors) == 0 {
		if advice := adviceByCode[we.WriteConcernError.Code]; advice == advicePrimary || advice == adviceFull {
			return advice
		}
		return adviceUnsure
	}
	if be, ok := errors.AsType[mongo.BulkWriteException](err); ok && be.WriteConcernError != nil && len(be.WriteErrors) == 0 {
		return adviceUnsure
	}
	for _, code := range mongo.ErrorCodes(err) {
		if advice := adviceByCode[code]; advice != "" {
			return advice
		}
	}
	return ""
}

// noServer tells whether no server that could do it was found in time.
func noServer(err error) bool {
	_, ok := errors.AsType[topology.ServerSelectionError](err)
	return ok
}

// noAnswer tells whether a connection broke, or could not be made.
func noAnswer(err error) bool {
	_, ok := errors.AsType[topology.ConnectionError](err)
	return ok || unsent(err)
}

// unsent tells whether an operation was given up before it had a connection because
// another one's broke.
func unsent(err error) bool {
	var pool driver.RetryablePoolError
	return errors.As(err, &pool) && pool.Retryable()
}

// undone tells whether err means that a write got in the way of another and was undone
// as a whole, so that it can be made again.
func undone(err error) bool {
	var se mongo.ServerError
	return errors.As(err, &se) &&
		(se.HasErrorCode(writeConflict) || se.HasErrorCode(deadlockDetected) || se.HasErrorCodeWithMessage(internalError, "deadlock detected"))
}

// noConnection tells whether no connection became free in time.
func noConnection(err error) bool {
	_, ok := errors.AsType[topology.WaitQueueTimeoutError](err)
	return ok
}

// tooLarge tells whether a document was larger than the server takes: BSONObjectTooLarge,
// what servers called it before, and FerretDB's BadValue.
func tooLarge(err error) bool {
	if errors.Is(err, driver.ErrDocumentTooLarge) {
		return true
	}
	var se mongo.ServerError
	return errors.As(err, &se) && (se.HasErrorCode(10334) || se.HasErrorCode(17419) || se.HasErrorCode(17420) ||
		se.HasErrorCodeWithMessage(2, "MaxDocumentSize"))
}

// found returns NotFound with message for the document that is not there, else err.
func found(err error, message string) error {
	if errors.Is(err, mongo.ErrNoDocuments) {
		return &makerguard.Error{Code: makerguard.NotFound, Message: message}
	}
	return err
}

// missing is NotFound with message.
func missing(message string) error {
	return &makerguard.Error{Code: makerguard.NotFound, Message: message}
}

// conflict is Conflict with message.
func conflict(message string) error {
	return &makerguard.Error{Code: makerguard.Conflict, Message: message}
}
