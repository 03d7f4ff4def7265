package makerguard

import "time"

// Period is one month of a meter, from Start (included) to End (excluded), in UTC.
type Period struct {
	Start time.Time
	End   time.Time
}

// Unlimited is the limit of a meter that has none.
const Unlimited int64 = -1

// CounterKey names one meter of one manufacturer in the period that begins at Start.
type CounterKey struct {
	ManufacturerID ManufacturerID
	Meter          Meter
	Start          time.Time
}

// LeaseRequest asks the store for a block of units that a node may then hand out by
// itself, and tells what became of the block it holds.
type LeaseRequest struct {
	CounterKey
	Node  string // which process asks
	Limit int64  // units a period, or Unlimited
	Need  int64  // refuse unless at least so many can be had; 0 with Want 0 only settles
	Want  int64  // units asked for, at least Need
	// Spent is how many units of this node's block were used since it last said so;
	// Return is how many unused ones it gives back. Both leave the block.
	Spent  int64
	Return int64
	Now    time.Time
	TTL    time.Duration // after it without a word, the node's block counts as spent
}

// LeaseResult is the counter after a LeaseRequest.
type LeaseResult struct {
	Granted int64 // units added to the node's block; 0 if Need could not be met
	Taken   int64 // units spent or held by any node
	Spent   int64 // units known to be spent
}

// SpendRequest spends units once for an idempotency key, past all leases.
type SpendRequest struct {
	CounterKey
	Limit       int64
	Amount      int64
	Idempotency string    // the key the caller gave; "" for none
	Fingerprint []byte    // SHA-256 of the request it stands for
	Now         time.Time // when the key was used
	KeepUntil   time.Time // until when the key is remembered
}

// SpendResult is what a SpendRequest did, now or when its key was first used.
type SpendResult struct {
	Spent    bool  // false: the limit leaves too little, nothing was spent
	Used     int64 // units taken after it
	Replayed bool  // the key had been used; nothing was spent this time
}

// Count is how a meter stands.
type Count struct {
	Taken int64 // units spent or held by any node
	Spent int64 // units known to be spent
}

// MeterAccount is a manufacturer as the meters see it: whose units are counted and
// when its month begins.
type MeterAccount struct {
	ManufacturerID ManufacturerID
	TimeZone       string // IANA name; "" is UTC
	AnchorDay      int    // 1-31, clamped to the month's last day; 0 is 1
}

// Reservation is units of a meter set aside for a use under way. Exactly one of
// Commit and Release ends it: the first call counts, later ones do nothing. The zero
// value holds nothing. It is not safe for concurrent use, and of several copies only
// one may be ended.
type Reservation struct {
	period *Period
	amount int64
	settle func(amount int64, used bool)
}

// NewReservation returns a reservation of amount units of a period that calls settle once,
// when it ends. Only package quota, and what stands in for it, makes them. The period must not
// change any more.
func NewReservation(p *Period, amount int64, settle func(amount int64, used bool)) Reservation {
	return Reservation{period: p, amount: amount, settle: settle}
}

// Period is the month in which the units count; that of the zero value is empty.
func (r *Reservation) Period() Period {
	if r.period == nil {
		return Period{}
	}
	return *r.period
}

// Commit says that the units were used.
func (r *Reservation) Commit() { r.end(true) }

// Release gives the units back, because what they were reserved for did not happen.
func (r *Reservation) Release() { r.end(false) }

func (r *Reservation) end(used bool) {
	if settle := r.settle; settle != nil {
		r.settle = nil
		settle(r.amount, used)
	}
}
