package audit

// Remembered is how many tenants' heads l holds.
func (l *Log) Remembered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.heads)
}

// MaxRemembered is the most it may hold.
const MaxRemembered = maxHeads
