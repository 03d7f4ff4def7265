package middleware

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/makerguard/makerguard"
)

// periods remembers the month under way of the time zones and anchor days asked for lately: it
// is the same for a whole month, and not quickly found. The zero value is empty and ready; it is
// bounded and safe for concurrent use.
type periods struct {
	slots [256]atomic.Pointer[knownPeriod]
}

type knownPeriod struct {
	timeZone  string
	anchorDay int
	makerguard.Period
}

// zoneSeed spreads time zones over slots.
var zoneSeed = maphash.MakeSeed()

// at gives the period that now lies in, which find tells if it is not known.
func (p *periods) at(find func(time.Time, string, int) (makerguard.Period, error), now time.Time, timeZone string, anchorDay int) (makerguard.Period, error) {
	slot := &p.slots[(maphash.String(zoneSeed, timeZone)+uint64(anchorDay))%uint64(len(p.slots))]
	if k := slot.Load(); k != nil && k.timeZone == timeZone && k.anchorDay == anchorDay && !now.Before(k.Start) && now.Before(k.End) {
		return k.Period, nil
	}
	found, err := find(now, timeZone, anchorDay)
	if err == nil {
		slot.Store(&knownPeriod{timeZone, anchorDay, found})
	}
	return found, err
}
