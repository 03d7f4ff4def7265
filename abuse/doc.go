// Package abuse decides what follows from what was seen. Threats of the history and
// events that are harmless one by one add points to whoever caused them; points halve
// every ten minutes, and who has too many is blocked for a time, with a reason that a
// person can read. Operators see every block, lift it, and block by hand.
//
// It promises that a block is known to this node as soon as the store has it, and to
// others as soon as they read the change feed; that asking who is blocked takes no lock,
// no store and no allocation; and that watching never delays a request: what it
// cannot keep up with is dropped and counted. Memory is bounded however many
// strangers there are.
//
// Scenarios are counted by each node for itself, points by the store for all. It does
// not stop an attacker who has a new address for every few requests, nor one who stays
// below every threshold; rate limits and the detector are what is in their way.
//
//	s, err := abuse.New(abuse.Config{Store: store, Audit: audit, Threats: history})
//	...
//	go s.Run(ctx)
//	err = s.CheckAddress(client.IP) // before anything else is done for a request
//	err = s.CheckPrincipal(p)       // as soon as it is known who makes it
//	s.Observe(abuse.Event{Kind: abuse.Missed, ...})
package abuse
