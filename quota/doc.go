// Package quota counts how much of each meter a manufacturer uses in a month, and
// stops it at its limit.
//
// It promises that a limit is never exceeded by one unit, however many workers and
// nodes count at once, and that units which no node holds can all be used: 64 workers
// on two nodes and a limit of 1,000 give exactly 1,000. It does so without a store
// request per use. Each node leases blocks of units from the store and hands them out
// from memory; blocks shrink to one unit near the limit. A node that dies loses at
// most its block to over-counting, and never lets one use too many through.
//
// It does not decide what the limits are or who may use a meter (package rbac does), and
// it is not a rate limit: a month's units may be spent in one second.
//
//	r, remaining, err := meters.Reserve(ctx, account, makerguard.ProductUploads, 1, 50)
//	if err != nil { ... }          // USAGE_LIMIT_EXCEEDED, with RetryAfter
//	defer r.Release()              // gives back, unless:
//	...
//	r.Commit()
package quota
