package auth_test

import (
	"github.com/makerguard/makerguard/account"
	"github.com/makerguard/makerguard/audit"
	"github.com/makerguard/makerguard/auth"
	"github.com/makerguard/makerguard/envelope"
	"github.com/makerguard/makerguard/feed"
	"github.com/makerguard/makerguard/store"
	"github.com/makerguard/makerguard/threat"
)

// What package guard joins fits together.
var (
	_ auth.Sealer            = (*envelope.Keyring)(nil)
	_ auth.Recorder          = (*audit.Log)(nil)
	_ auth.ThreatRecorder    = (*threat.Log)(nil)
	_ auth.Freshness         = (*feed.Feed)(nil)
	_ auth.Store             = store.Store(nil)
	_ account.PasswordHasher = (*auth.Service)(nil)
	_ account.Recorder       = (*audit.Log)(nil)
	_ account.Store          = store.Store(nil)
)
