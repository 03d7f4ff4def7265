package mongo

// What the explain test asks the server about.
var (
	ThreatQuery = threatQuery
	InForce     = inForce
	By          = by
)
