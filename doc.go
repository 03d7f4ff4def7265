// Package makerguard is the vocabulary of the security foundation under a
// marketplace's manufacturer side: identifiers, the stored records, permissions
// and meters, the error codes, the redacting Secret, and the principal a request
// carries in its context.
//
// It holds no behaviour beyond that and imports only the standard library, so every
// other package may import it and no import cycle can form. Behaviour lives with
// its one idea: who is calling in auth, what they may do in rbac, how much of it in
// quota, how data is sealed in envelope, what looks wrong in threat and catalog.
//
// A Go service embeds all of it through package guard; a handler behind its
// middleware asks who calls with PrincipalFrom:
//
//	p, ok := makerguard.PrincipalFrom(r.Context())
package makerguard
