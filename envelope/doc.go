// Package envelope encrypts manufacturers' data under keys that are themselves encrypted
// under one root key (envelope encryption).
//
// A [KEK], the root key, wraps a key for each manufacturer; a [Keyring] seals and opens
// data with it. A sealed blob opens only for the manufacturer, record and field it was
// sealed for, and only whole and unaltered; everything else gives DecryptionFailed, with one
// message. Rotation adds a version of a key; what older versions sealed still opens.
// Blobs of every released format open for ever (testdata/golden).
//
//	content, err := envelope.GenerateKEK()            // once, and kept safe
//	err = envelope.WriteKEKFile("root.key", content)
//	kek, err := envelope.ReadKEKFile("root.key")      // at each start
//	ring, err := envelope.New(envelope.Config{Store: store, KEK: kek, Audit: log})
//	blob, version, err := ring.Seal(ctx, manufacturer, "bank_account", "iban", iban)
//
// # Keys
//
// Every key there is, by the purpose its row has in the store. All are made from the
// system's random source, 256 bits strong, versioned from 1, and wrapped by the root key with
// AES-256-GCM (Tink) so that manufacturer, purpose and version are bound to them. A stored
// key is a Tink HKDF-SHA-256 pseudo-random function, from which the keys in use are
// derived under fixed labels; so one wrapped row gives as many independent keys as a
// format needs, and no two uses share one.
//
//	| key     | owner        | protects                     | used as                        | kept in                                                              | replaced                              | destroyed                   |
//	|---------|--------------|------------------------------|--------------------------------|----------------------------------------------------------------------|---------------------------------------|-----------------------------|
//	| root    | installation | all other keys               | AES-256-GCM                    | key file of mode 0600 or environment; never the store or its backups | no operation yet                      | with all copies of the file |
//	| data    | manufacturer | sealed fields, vault records | XAES-256-GCM, and a commitment | store, wrapped                                                       | Rotate, at will: nonces never run out | with its wrapped bytes      |
//	| signing | installation | access tokens                | Ed25519 seed                   | store, wrapped                                                       | no operation yet                      | with its wrapped bytes      |
//	| refresh | installation | refresh tokens               | HMAC-SHA-256 key               | store, wrapped                                                       | no operation yet                      | with its wrapped bytes      |
//	| pepper  | installation | password hashes              | HMAC-SHA-256 key               | store, wrapped                                                       | no operation yet                      | with its wrapped bytes      |
//	| device  | installation | known-device tokens          | HMAC-SHA-256 key               | store, wrapped                                                       | no operation yet                      | with its wrapped bytes      |
//	| audit   | installation | the chain of audit entries   | HMAC-SHA-256 key               | store, wrapped                                                       | never: the chain needs it             | with its wrapped bytes      |
//
// Of each key, versions in state active and retiring are read, and the newest active one
// protects new data. A destroyed version has no wrapped bytes left; its row says that it was.
//
// # Limits
//
// It does not defend against somebody who can read the memory of the process, where
// the keys in use are, nor against the loss of the root key, which nothing can undo. The length
// of the plaintext shows in the blob. Whoever can write to the store can bring an old blob
// of the same field back: nothing here remembers what is newest.
package envelope
