//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/makerguard/makerguard"
)

// lockFile is what a server holds in its data directory.
const lockFile = "serve.lock"

// Lock makes this process the only server on the data directory dir, which it makes if
// it is not there, until release is called or the process ends, however it ends. It
// returns Conflict, naming the other process if it can, when there is a server already,
// and StoreUnavailable if the directory cannot be written. Commands that work beside a
// server do not take the lock.
func Lock(dir string) (release func() error, err error) {
	path := filepath.Join(dir, lockFile)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, openError(path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, openError(path, err)
	}
	if err := flock(f); err != nil {
		owner := lockOwner(f)
		_ = f.Close() // nothing was written
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, openError(path, err)
		}
		return nil, &makerguard.Error{
			Code:    makerguard.Conflict,
			Message: fmt.Sprintf("Another server%s uses the data directory %s: stop it first, or give this one a directory of its own.", owner, dir),
			Err:     err,
		}
	}
	// The number is for the message above only; the lock itself is the kernel's.
	if err := writeOwner(f); err != nil {
		return nil, errors.Join(openError(path, err), f.Close())
	}
	return f.Close, nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// lockOwner names the process that wrote the lock file, "" if it does not tell.
func lockOwner(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func writeOwner(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
