//go:build !race

package threat_test

const raceEnabled = false
