//go:build !linux

package auth

// stepBack runs f. Only Linux gives a thread a priority of its own.
func stepBack(f func()) { f() }
