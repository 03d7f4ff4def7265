package auth

import (
	"runtime"
	"syscall"
)

// hashingNiceness is how far hashing steps back behind everything else the process does;
// 19 is as far as Linux goes.
const hashingNiceness = 19

// stepBack runs f on a thread of its own at the lowest priority, so that however many
// passwords are checked, requests that only need to be looked at are served first. It
// returns when f has. The thread ends with f: its priority could not be raised again
// without privilege.
func stepBack(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, which ends the thread
		// On Linux this sets the calling thread's niceness. If it is refused, hashing is merely
		// not behind the rest.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, hashingNiceness)
		f()
	}()
	<-done
}
