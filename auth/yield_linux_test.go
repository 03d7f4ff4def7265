package auth

import (
	"runtime"
	"syscall"
	"testing"
)

// priority gives the calling thread's niceness; the system call answers 20 less it.
func priority(t *testing.T) int {
	t.Helper()
	p, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - p
}

func TestStepBack_LowersOnlyTheThreadThatHashes(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, during := priority(t), 0
	stepBack(func() { during = priority(t) })
	if during != hashingNiceness {
		t.Errorf("niceness while hashing = %d, want %d", during, hashingNiceness)
	}
	if after := priority(t); after != before {
		t.Errorf("niceness of the caller = %d afterwards, want %d as before", after, before)
	}
}
