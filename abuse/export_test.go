package abuse

import "context"

// Settle works off what was observed until now, in place of Run.
func (s *Service) Settle(ctx context.Context) {
	for {
		select {
		case i := <-s.queue:
			s.work(ctx, i)
		default:
			return
		}
	}
}
