package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/makerguard/makerguard"
)

// What to do about a store that cannot be used.
const (
	adviceFull     = "The store's disk is full. Free some space; writing resumes by itself."
	adviceBusy     = "The store is busy: another process is writing to it. Try again."
	adviceReadOnly = "The store cannot be written. Make its directory and files writable for the user the server runs as."
	adviceOpen     = "The store's file cannot be opened. Check that its directory is there and belongs to the user the server runs as."
	adviceDamaged  = "The store's file is damaged or is no makerguard database. Restore it from a backup."
	adviceDisk     = "The store's disk fails. Check the disk and the system's log."
	adviceClosed   = "The store is closed."
	adviceLate     = "The request ended before the store could answer it. Try again."
)

// storeError gives err a code. Errors that have one keep it.
func storeError(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*makerguard.Error](err); ok {
		return err
	}
	cause := fmt.Errorf("%s: %w", doing, err)
	if advice := adviceFor(err); advice != "" {
		return withAdvice(advice, cause)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
			return &makerguard.Error{Code: makerguard.Conflict, Message: "It exists already.", Err: cause}
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return &makerguard.Error{Code: makerguard.NotFound, Message: "What this belongs to does not exist.", Err: cause}
		}
	}
	return &makerguard.Error{Code: makerguard.Internal, Err: cause}
}

// unavailable is storeError where any cause means that nothing was stored.
func unavailable(doing string, err error) error {
	advice := adviceFor(err)
	if advice == "" {
		advice = adviceDisk
	}
	return withAdvice(advice, fmt.Errorf("%s: %w", doing, err))
}

func withAdvice(advice string, cause error) error {
	e := &makerguard.Error{Code: makerguard.StoreUnavailable, Message: advice, Err: cause}
	if advice == adviceBusy || advice == adviceLate {
		e.RetryAfter = time.Second
	}
	return e
}

// adviceFor tells what to do about a store that cannot be used, "" if err is not of that kind.
func adviceFor(err error) string {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return adviceLate
	case errors.Is(err, sql.ErrConnDone):
		return adviceClosed
	case errors.Is(err, syscall.ENOSPC):
		return adviceFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return adviceReadOnly
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return adviceOpen
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return ""
	}
	switch e.Code() & 0xff { // the rest is detail
	case sqlite3.SQLITE_FULL:
		return adviceFull
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return adviceBusy
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return adviceReadOnly
	case sqlite3.SQLITE_CANTOPEN:
		return adviceOpen
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return adviceDamaged
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS:
		return adviceDisk
	}
	return ""
}

// openError is storeError for opening, when it is the operator who reads the message, so
// that it names the directory.
func openError(path string, err error) error {
	coded, _ := errors.AsType[*makerguard.Error](storeError("opening "+path, err))
	if coded.Code != makerguard.StoreUnavailable || coded.Message == adviceLate {
		return coded
	}
	named := *coded
	named.Message = fmt.Sprintf("%s (directory %s)", coded.Message, filepath.Dir(path))
	return &named
}

// found returns NotFound with message for the row that is not there, else err.
func found(err error, message string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return missing(message)
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
