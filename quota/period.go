package quota

import (
	"fmt"
	"time"

	"github.com/makerguard/makerguard"
)

// PeriodAt gives the month that now lies in: from the first instant of the anchor day in
// timeZone to the first instant of the next one, in UTC. Every instant lies in exactly one
// period.
//
// timeZone is an IANA name, "" is UTC. anchorDay is 1 to 31, 0 is 1; in a month that
// has fewer days it is the last one, and comes back to 31 in the next that has. Where
// clocks are changed at midnight the day begins at its first instant, whatever the
// clock shows then. PeriodAt returns ValidationFailed for a zone or day that is none.
func PeriodAt(now time.Time, timeZone string, anchorDay int) (makerguard.Period, error) {
	loc, err := location(timeZone)
	if err != nil {
		return makerguard.Period{}, err
	}
	return periodIn(now, loc, anchorDay)
}

func periodIn(now time.Time, loc *time.Location, anchorDay int) (makerguard.Period, error) {
	if anchorDay == 0 {
		anchorDay = 1
	}
	if anchorDay < 1 || anchorDay > 31 {
		return makerguard.Period{}, &makerguard.Error{
			Code: makerguard.ValidationFailed, Message: fmt.Sprintf("The billing day %d is not a day of a month: use 1 to 31.", anchorDay),
		}
	}
	year, month, _ := now.In(loc).Date()
	start := anchor(year, month, anchorDay, loc)
	if now.Before(start) {
		return makerguard.Period{Start: anchor(year, month-1, anchorDay, loc), End: start}, nil
	}
	return makerguard.Period{Start: start, End: anchor(year, month+1, anchorDay, loc)}, nil
}

// location finds a zone. "Local" is refused: it would be another one on each node.
func location(name string) (*time.Location, error) {
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, &makerguard.Error{
			Code: makerguard.ValidationFailed, Message: "The time zone is not known: use an IANA name such as Europe/Paris.", Err: err,
		}
	}
	return loc, nil
}

// anchor gives the first instant of the anchor day of a month; month may lie
// outside 1 to 12.
func anchor(year int, month time.Month, day int, loc *time.Location) time.Time {
	lastDay := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return firstInstant(year, month, min(day, lastDay), loc).UTC()
}

// firstInstant gives the earliest time at which loc's calendar has reached a day. That
// is its midnight, unless the clocks leap over midnight (then it is the leap) or
// show it twice (then it is the first).
func firstInstant(year int, month time.Month, day int, loc *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, loc)
	before, after := t.ZoneBounds()
	if t.Day() != day || t.Hour() != 0 || t.Minute() != 0 {
		// There is no such midnight: time.Date gave a time that is off by the leap, on
		// either side of it. The leap is where the zone before it ends.
		midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		if wall(t).Before(midnight) {
			return after
		}
		return before
	}
	if before.IsZero() {
		return t
	}
	// The same midnight is shown once more if, at the end of the zone before, the clock was
	// already at or past it.
	last := before.Add(-1)
	_, offset := t.Zone()
	_, earlier := last.Zone()
	if first := t.Add(time.Duration(offset-earlier) * time.Second); first.Before(before) && wall(first.In(loc)).Equal(wall(t)) {
		return first
	}
	return t
}

// wall gives what the clock shows at t, as a UTC time that can be compared.
func wall(t time.Time) time.Time {
	year, month, day := t.Date()
	hour, minute, sec := t.Clock()
	return time.Date(year, month, day, hour, minute, sec, 0, time.UTC)
}
