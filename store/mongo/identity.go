package mongo

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/makerguard/makerguard"
)

// The collections of who there is and how they sign in.
const (
	manufacturers = "manufacturers"
	members       = "manufacturer_members"
	sessions      = "manufacturer_sessions"
	challenges    = "challenges"
	counters      = "counters"
)

// identitySchema is who there is and how they sign in.
var identitySchema = []collection{
	{name: manufacturers, validator: validatorOf(manufacturerDoc{}), indexes: []index{
		changedAt,
		{name: "registering", keys: by("registering"), partial: there("registering")},
		{name: "settling", keys: by("settling.at"), partial: there("settling")},
		ending,
	}},
	{name: members, validator: validatorOf(memberDoc{}), indexes: []index{
		{name: "email_key", keys: by("email_key"), unique: true},
		{name: "manufacturer", keys: by("manufacturer_id", "_id")},
		changedAt,
		ending,
	}},
	{name: sessions, validator: validatorOf(sessionDoc{}), indexes: []index{
		{name: "live", keys: by("manufacturer_id", "member_id", "-created_at"), partial: bson.D{{Key: "live", Value: true}}},
		{name: "changed_at", keys: by("changed_at"), partial: there("changed_at")},
		expiry("remove_at"),
	}},
	{name: challenges, validator: validatorOf(challengeDoc{}), indexes: []index{expiry("expires_at")}},
	{name: counters, validator: validatorOf(counterOfEventsDoc{}), indexes: []index{expiry("stale_at")}},
}

// ending is the index by which repair finds whose sessions are still to be marked as ended.
var ending = index{name: "ending", keys: by("ended.marking"), partial: bson.D{{Key: "ended.marking", Value: true}}}

// there is the filter of an index over the few documents that have a field.
func there(field string) bson.D {
	return bson.D{{Key: field, Value: bson.D{{Key: "$exists", Value: true}}}}
}

// absent matches documents without a field.
func absent(field string) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: "$exists", Value: false}}}
}

// manufacturerDoc is a manufacturer. What concerns several of its members stands in it
// as well, so that it can be changed in one step.
type manufacturerDoc struct {
	ID           string    `bson:"_id"`
	CompanyName  string    `bson:"company_name"`
	FoldedName   string    `bson:"folded_name"` // in lower case, for searches
	Country      string    `bson:"country"`
	Tier         string    `bson:"tier"`
	Status       string    `bson:"status"`
	StatusReason string    `bson:"status_reason"`
	TimeZone     string    `bson:"time_zone"`
	AnchorDay    int64     `bson:"anchor_day"`
	CreatedAt    time.Time `bson:"created_at"`
	UpdatedAt    time.Time `bson:"updated_at"`
	ChangedAt    time.Time `bson:"changed_at,omitempty"` // by the server's clock, for the feed

	MemberIDs []string `bson:"member_ids"` // each has a place within the tier's limit
	OwnerIDs  []string `bson:"owner_ids"`  // members whose role is owner, or some of them
	// Settling are members that are being added or change their role: their own document
	// and the two lists above are being brought together.
	Settling []settlingMember `bson:"settling,omitempty"`
	// Registering is when a registration began whose owner is not stored yet; until then
	// there is no such manufacturer.
	Registering time.Time `bson:"registering,omitempty"`

	Ended endedDoc `bson:"ended"`
}

// settlingMember is a member and since when it is being settled.
type settlingMember struct {
	ID string    `bson:"id"`
	At time.Time `bson:"at"`
}

// endedDoc tells which sessions of a member, or of a manufacturer, were ended together, in
// the one document that the change itself is made in. Each such end begins an epoch, and
// a session is live only in the epoch it was created in, or if it was spared.
type endedDoc struct {
	Epoch  int64     `bson:"epoch"`
	Reason string    `bson:"reason,omitempty"`
	At     time.Time `bson:"at,omitempty"`
	// Spared goes on living if it was created in the epoch SparedSince or later.
	Spared      string `bson:"spared,omitempty"`
	SparedSince int64  `bson:"spared_since,omitempty"`
	// Marking: the session documents are still to be marked as ended, for lists.
	Marking bool `bson:"marking,omitempty"`
}

// ends tells whether a session of the epoch given, which expires at the time given, was
// ended, and since a session past its limit has ended by itself, whether it was live then.
func (e *endedDoc) ends(id string, epoch int64, expires time.Time) bool {
	spared := e.Spared != "" && e.Spared == id && epoch >= e.SparedSince
	return epoch < e.Epoch && !spared && expires.After(e.At)
}

// fromManufacturer gives the document of a manufacturer.
func fromManufacturer(m makerguard.Manufacturer) manufacturerDoc {
	return manufacturerDoc{
		ID: string(m.ID), CompanyName: m.CompanyName, FoldedName: folded(m.CompanyName), Country: m.Country,
		Tier: string(m.Tier), Status: string(m.Status), StatusReason: m.StatusReason,
		TimeZone: m.TimeZone, AnchorDay: int64(m.AnchorDay), CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt,
		MemberIDs: []string{}, OwnerIDs: []string{},
	}
}

// manufacturer gives the manufacturer that the document is of.
func (d *manufacturerDoc) manufacturer() makerguard.Manufacturer {
	return makerguard.Manufacturer{
		ID: makerguard.ManufacturerID(d.ID), CompanyName: d.CompanyName, Country: d.Country,
		Tier: makerguard.Tier(d.Tier), Status: makerguard.Status(d.Status), StatusReason: d.StatusReason,
		TimeZone: d.TimeZone, AnchorDay: int(d.AnchorDay), CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
}

// memberDoc is a member with everything that proves who they are.
type memberDoc struct {
	ID             string   `bson:"_id"`
	ManufacturerID string   `bson:"manufacturer_id"`
	Email          string   `bson:"email"`
	EmailKey       string   `bson:"email_key"`
	Name           string   `bson:"name"`
	Role           string   `bson:"role"`
	Grants         []string `bson:"grants"`
	Status         string   `bson:"status"`

	PasswordHash      makerguard.Secret `bson:"password_hash"`
	PasswordShort     bool              `bson:"password_short"`
	PasswordChangedAt time.Time         `bson:"password_changed_at,omitempty"`
	EmailVerifiedAt   time.Time         `bson:"email_verified_at,omitempty"`

	TOTP          *totpDoc `bson:"totp,omitempty"`
	PendingTOTP   []byte   `bson:"pending_totp,omitempty"`
	RecoveryCodes [][]byte `bson:"recovery_codes"`

	CreatedAt time.Time `bson:"created_at"`
	UpdatedAt time.Time `bson:"updated_at"`
	ChangedAt time.Time `bson:"changed_at,omitempty"` // by the server's clock, for the feed

	Ended endedDoc `bson:"ended"`
	// Sessions is how many sessions the member ever had: the newest has this number.
	Sessions int64 `bson:"sessions"`
}

// totpDoc is a confirmed one-time-code generator.
type totpDoc struct {
	SealedSeed  []byte    `bson:"sealed_seed"`
	ConfirmedAt time.Time `bson:"confirmed_at"`
	LastStep    int64     `bson:"last_step"`
}

// fromMember gives the document of a member.
func fromMember(m makerguard.Member) memberDoc {
	d := memberDoc{
		ID: string(m.ID), ManufacturerID: string(m.ManufacturerID), Email: m.Email, EmailKey: m.EmailKey, Name: m.Name,
		Role: string(m.Role), Grants: make([]string, len(m.Grants)), Status: string(m.Status),
		PasswordHash: m.PasswordHash, PasswordShort: m.PasswordShort,
		PasswordChangedAt: m.PasswordChangedAt, EmailVerifiedAt: m.EmailVerifiedAt,
		PendingTOTP: m.PendingTOTP, RecoveryCodes: m.RecoveryCodes, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt,
	}
	for i, g := range m.Grants {
		d.Grants[i] = string(g)
	}
	if m.TOTP != nil {
		d.TOTP = &totpDoc{SealedSeed: m.TOTP.SealedSeed, ConfirmedAt: m.TOTP.ConfirmedAt, LastStep: m.TOTP.LastStep}
	}
	return d
}

// member gives the member that the document is of.
func (d *memberDoc) member() makerguard.Member {
	m := makerguard.Member{
		ID: makerguard.MemberID(d.ID), ManufacturerID: makerguard.ManufacturerID(d.ManufacturerID),
		Email: d.Email, EmailKey: d.EmailKey, Name: d.Name, Role: makerguard.Role(d.Role), Status: makerguard.Status(d.Status),
		PasswordHash: d.PasswordHash, PasswordShort: d.PasswordShort,
		PasswordChangedAt: d.PasswordChangedAt, EmailVerifiedAt: d.EmailVerifiedAt,
		PendingTOTP: d.PendingTOTP, RecoveryCodes: d.RecoveryCodes, CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
	for _, g := range d.Grants {
		m.Grants = append(m.Grants, makerguard.Permission(g))
	}
	if d.TOTP != nil {
		m.TOTP = &makerguard.TOTPFactor{SealedSeed: d.TOTP.SealedSeed, ConfirmedAt: d.TOTP.ConfirmedAt, LastStep: d.TOTP.LastStep}
	}
	return m
}

// keepEnded is how long the server keeps sessions after they ended or expired.
const keepEnded = 30 * 24 * time.Hour

// sessionDoc is a session.
type sessionDoc struct {
	ID                string    `bson:"_id"`
	ManufacturerID    string    `bson:"manufacturer_id"`
	MemberID          string    `bson:"member_id"`
	CreatedAt         time.Time `bson:"created_at"`
	LastSeenAt        time.Time `bson:"last_seen_at"`
	ExpiresAt         time.Time `bson:"expires_at"`
	AuthTime          time.Time `bson:"auth_time"`
	AMR               []string  `bson:"amr"`
	IP                string    `bson:"ip"`
	UserAgent         string    `bson:"user_agent"`
	RefreshSeed       []byte    `bson:"refresh_seed"`
	RefreshGeneration int64     `bson:"refresh_generation"`
	RotatedAt         time.Time `bson:"rotated_at,omitempty"`
	RevokedAt         time.Time `bson:"revoked_at,omitempty"`
	RevokeReason      string    `bson:"revoke_reason,omitempty"`

	Live      bool      `bson:"live,omitempty"`       // not revoked; absent otherwise, to be left out of the index
	ChangedAt time.Time `bson:"changed_at,omitempty"` // when it was revoked by the server's clock, for the feed
	RemoveAt  time.Time `bson:"remove_at"`            // keepEnded after it ended or expires
	Number    int64     `bson:"number"`               // its member's, counting up

	// The epochs of its member and manufacturer that it was created in.
	MemberEpoch       int64 `bson:"member_epoch"`
	ManufacturerEpoch int64 `bson:"manufacturer_epoch"`
}

// fromSession gives the document of a session.
func fromSession(s makerguard.Session) sessionDoc {
	d := sessionDoc{
		ID: string(s.ID), ManufacturerID: string(s.ManufacturerID), MemberID: string(s.MemberID),
		CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt, AuthTime: s.AuthTime,
		AMR: s.AMR, IP: s.IP, UserAgent: valid(s.UserAgent), RefreshSeed: s.RefreshSeed,
		RefreshGeneration: int64(s.RefreshGeneration), RotatedAt: s.RotatedAt,
		RevokedAt: s.RevokedAt, RevokeReason: s.RevokeReason, Live: s.RevokedAt.IsZero(),
		RemoveAt: s.ExpiresAt.Add(keepEnded),
	}
	if !s.RevokedAt.IsZero() && s.RevokedAt.Before(s.ExpiresAt) {
		d.RemoveAt = s.RevokedAt.Add(keepEnded)
	}
	return d
}

// session gives the session that the document is of.
func (d *sessionDoc) session() makerguard.Session {
	return makerguard.Session{
		ID: makerguard.SessionID(d.ID), ManufacturerID: makerguard.ManufacturerID(d.ManufacturerID), MemberID: makerguard.MemberID(d.MemberID),
		CreatedAt: d.CreatedAt, LastSeenAt: d.LastSeenAt, ExpiresAt: d.ExpiresAt, AuthTime: d.AuthTime,
		AMR: d.AMR, IP: d.IP, UserAgent: d.UserAgent, RefreshSeed: d.RefreshSeed,
		RefreshGeneration: uint32(d.RefreshGeneration), RotatedAt: d.RotatedAt,
		RevokedAt: d.RevokedAt, RevokeReason: d.RevokeReason,
	}
}

// sessionIn is session where the ends in its member's and its manufacturer's documents
// count, whether its own was marked already or not.
func (d *sessionDoc) sessionIn(member, manufacturer *endedDoc) makerguard.Session {
	s := d.session()
	if !d.Live {
		return s
	}
	if member.ends(d.ID, d.MemberEpoch, d.ExpiresAt) {
		s.RevokedAt, s.RevokeReason = member.At, member.Reason
	}
	if manufacturer.ends(d.ID, d.ManufacturerEpoch, d.ExpiresAt) && (s.RevokedAt.IsZero() || manufacturer.At.Before(s.RevokedAt)) {
		s.RevokedAt, s.RevokeReason = manufacturer.At, manufacturer.Reason
	}
	return s
}

// challengeDoc is a challenge.
type challengeDoc struct {
	TokenHash      []byte    `bson:"_id"`
	Purpose        string    `bson:"purpose"`
	ManufacturerID string    `bson:"manufacturer_id"`
	MemberID       string    `bson:"member_id"`
	IP             string    `bson:"ip"`
	UserAgent      string    `bson:"user_agent"`
	Device         string    `bson:"device"`
	TriesLeft      int64     `bson:"tries_left"`
	CreatedAt      time.Time `bson:"created_at"`
	ExpiresAt      time.Time `bson:"expires_at"`
}

// fromChallenge gives the document of a challenge.
func fromChallenge(c makerguard.Challenge) challengeDoc {
	return challengeDoc{
		TokenHash: c.TokenHash, Purpose: string(c.Purpose), ManufacturerID: string(c.ManufacturerID), MemberID: string(c.MemberID),
		IP: c.IP, UserAgent: valid(c.UserAgent), Device: c.Device, TriesLeft: int64(c.TriesLeft), CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt,
	}
}

// challenge gives the challenge that the document is of.
func (d *challengeDoc) challenge() makerguard.Challenge {
	return makerguard.Challenge{
		TokenHash: d.TokenHash, Purpose: makerguard.ChallengePurpose(d.Purpose),
		ManufacturerID: makerguard.ManufacturerID(d.ManufacturerID), MemberID: makerguard.MemberID(d.MemberID),
		IP: d.IP, UserAgent: d.UserAgent, Device: d.Device, TriesLeft: int(d.TriesLeft), CreatedAt: d.CreatedAt, ExpiresAt: d.ExpiresAt,
	}
}

// counterOfEventsDoc is a count of events kept for throttling.
type counterOfEventsDoc struct {
	Key     string    `bson:"_id"`
	Count   int64     `bson:"count"`
	LastAt  time.Time `bson:"last_at"`
	StaleAt time.Time `bson:"stale_at"` // from when on it counts for nothing
}
