// Package auth knows who is calling: it checks passwords and second factors, keeps
// sessions, and issues, rotates, validates and revokes their tokens.
//
// What it promises:
//
//   - A sign-in that fails gives the same error after the same work, whether or not
//     the account exists, and is counted before any password is hashed (SP 800-63B-4
//     sections 3.1.1 and 3.2.2, ASVS 6.3).
//   - A password is stored as argon2id under a key the store does not hold, so a stolen
//     database alone lets nobody guess.
//   - Password hashing has a bounded number of workers and a bounded queue; past it
//     callers get OVERLOADED instead of taking the machine down.
//   - One-time things work once: of any number of parallel uses of a time step, a
//     recovery code or a started sign-in, one succeeds.
//   - A refresh token that is used again after its successor was used, or later than the
//     grace period, ends its session (RFC 9700 section 4.14.2). See refresh.go.
//   - An ended session is refused by the next Authenticate on the node that ended it,
//     within the change feed's interval elsewhere, and when the feed cannot be
//     read the store is asked each time. Nobody is let in by a cache that may be stale.
//   - Every sensitive operation leaves its audit entry first, and is refused if that
//     fails.
//
// What it does not defend against: a stolen access token works until it expires or its
// session ends, as tokens are not bound to a device; a second factor of one-time codes
// can be relayed by a phishing site; and an account imported with a bcrypt hash
// can be told from others by the time its first sign-in takes.
//
// A sign-in:
//
//	in, err := s.Login(ctx, auth.Login{Email: email, Password: password}, client)
//	...
//	if in.Status == auth.StatusMFARequired {
//		in, err = s.VerifyMFA(ctx, in.MFAToken, auth.MethodTOTP, code, client)
//	}
//	...
//	p, err := s.Authenticate(ctx, string(in.Tokens.Access))
package auth
