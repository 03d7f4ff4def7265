//go:build race

package guard_test

// The race detector makes sync.Pool drop what it is given, now and then.
const raceEnabled = true
