// Package account keeps the life of a manufacturer's account: how it is registered, what
// tier it has, and whether it may act. Operators are members of the built-in
// platform tenant and are made here too.
//
// It promises that a manufacturer and its owner come into being together or not at all;
// that an e-mail address, however it is written, belongs to one member; that nothing
// a caller sends is stored before its length and characters were checked; and that
// every change leaves its audit entry first and is refused if that fails.
//
// It does not prove that an address belongs to who registers it, nor that a company
// exists, and it leaves the question whether an actor may do this to package rbac, but
// for one thing: what only operators do is refused to everybody else here too.
//
//	mfr, owner, err := accounts.Register(ctx, account.Registration{
//		Email: "anna@brillen.example", Password: password,
//		CompanyName: "Brillen & Co", Country: "DE",
//	}, client)
package account
