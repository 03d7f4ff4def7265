package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"github.com/makerguard/makerguard"
)

// The limits of a connection, where the URI does not say otherwise.
const (
	selectTimeout    = 2 * time.Second
	connectTimeout   = 2 * time.Second
	operationTimeout = 5 * time.Second
	idleTimeout      = 10 * time.Minute
	maxConnections   = 100 // of one node to one server
)

// acknowledged is the write concern: what was answered is on the disks of a majority. A
// single server has no majority to ask, so the journal is asked for by name.
func acknowledged() *writeconcern.WriteConcern {
	journal := true
	return &writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}
}

// clientOptions are the defaults with the URI's options over them.
func clientOptions(uri makerguard.Secret) (*options.ClientOptions, error) {
	opts := options.Client().
		SetAppName("makerguard").
		SetServerSelectionTimeout(selectTimeout).
		SetConnectTimeout(connectTimeout).
		SetTimeout(operationTimeout).
		SetMaxConnIdleTime(idleTimeout).
		SetMaxPoolSize(maxConnections).
		SetRetryWrites(true).
		SetRetryReads(true).
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(acknowledged()).
		SetBSONOptions(&options.BSONOptions{NilSliceAsEmpty: true, NilByteSliceAsEmpty: true}).
		ApplyURI(string(uri))
	if err := opts.Validate(); err != nil {
		return nil, uriError(uri)
	}
	if err := keepPromises(opts); err != nil {
		return nil, err
	}
	return opts, keepPrivate(uri, opts)
}

// keepPromises refuses what would make the store forget or show the past.
func keepPromises(opts *options.ClientOptions) error {
	if w := opts.WriteConcern; w.W != nil && w.W != writeconcern.WCMajority || w.Journal != nil && !*w.Journal {
		return refuse("w or journal", "what was acknowledged could be lost")
	}
	opts.WriteConcern = acknowledged() // the URI's may be half of it
	switch opts.ReadConcern.Level {
	case "majority", "linearizable":
	default:
		return refuse("readConcernLevel", "what is read could be undone")
	}
	if opts.ReadPreference.Mode() != readpref.PrimaryMode {
		return refuse("readPreference", "a session that was revoked could be read as live")
	}
	if *opts.Timeout <= 0 {
		return refuse("timeoutMS", "without a limit requests would wait for ever")
	}
	return nil
}

// refuse says that a URI has an option that would break a promise.
func refuse(option, why string) error {
	return &makerguard.Error{
		Code:    makerguard.ValidationFailed,
		Message: fmt.Sprintf("The database's URI has an option %s that cannot be used: %s. Leave it out.", option, why),
	}
}

// plaintext is how an operator says that the network to the database is private.
var plaintext = regexp.MustCompile(`(?i)[?&](tls|ssl)=false`)

// keepPrivate refuses a connection that others can read or answer: without TLS to another
// machine, unless the URI says that this is meant, and without a look at the server's certificate.
func keepPrivate(uri makerguard.Secret, opts *options.ClientOptions) error {
	if opts.TLSConfig != nil {
		if opts.TLSConfig.InsecureSkipVerify {
			return refuse("tlsInsecure or tlsAllowInvalid...", "anybody could answer as the database; name its authority with tlsCAFile")
		}
		return nil
	}
	if i := slices.IndexFunc(opts.Hosts, isRemote); i >= 0 && !plaintext.MatchString(string(uri)) {
		return &makerguard.Error{
			Code: makerguard.ValidationFailed,
			Message: fmt.Sprintf("The connection to the database at %s would not be encrypted: add tls=true to its URI, "+
				"or tls=false if nobody else can reach the network between.", opts.Hosts[i]),
		}
	}
	return nil
}

// secretOption finds the options of a URI that hold secrets.
var secretOption = regexp.MustCompile(`(?i)([?&](?:tlsCertificateKeyFilePassword|sslClientCertificateKeyPassword|authMechanismProperties|proxyPassword)=)[^&]*`)

// uriError tells what is wrong with a URI. The driver's own words may quote any part of it,
// so they are asked for again about one without the part that holds names and passwords.
func uriError(uri makerguard.Secret) error {
	message := "it must begin with mongodb:// or mongodb+srv://"
	if scheme, rest, ok := strings.Cut(string(uri), "://"); ok && (scheme == "mongodb" || scheme == "mongodb+srv") {
		message = "the hosts, the name or the password cannot be read; what is special in a name or a password is percent-encoded, " +
			"as in mongodb://name:p%40ssword@host:27017/"
		query := ""
		if i := strings.Index(rest, "?"); i >= 0 && !strings.Contains(rest[i:], "@") { // else it may be part of a password
			query = secretOption.ReplaceAllString(rest[i:], "${1}secret")
		}
		if err := options.Client().ApplyURI("mongodb://user:secret@localhost/" + query).Validate(); err != nil {
			message = err.Error()
		}
	}
	return &makerguard.Error{Code: makerguard.ValidationFailed, Message: "The database's URI cannot be used: " + message}
}

// databaseOf gives the database that the path of a valid URI names.
func databaseOf(uri makerguard.Secret) string {
	if c, err := connstring.Parse(string(uri)); err == nil && c.Database != "" {
		return c.Database
	}
	return DefaultDatabase
}

// isRemote tells whether a host of a URI is, or may be, another machine.
func isRemote(host string) bool {
	if strings.HasSuffix(host, ".sock") {
		return false
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// warnOfRisk tells of a connection to another machine that is not protected as it could be.
func warnOfRisk(ctx context.Context, logger *slog.Logger, opts *options.ClientOptions) {
	i := slices.IndexFunc(opts.Hosts, isRemote)
	if i < 0 {
		return
	}
	if opts.TLSConfig == nil {
		logger.WarnContext(ctx, "the connection to the database is not encrypted", slog.String("host", opts.Hosts[i]))
	}
	if opts.Auth == nil {
		logger.WarnContext(ctx, "the database is used without a user: whoever reaches it can change everything", slog.String("host", opts.Hosts[i]))
	}
}

// startError names the hosts, for it is the operator who reads it.
func startError(opts *options.ClientOptions, err error) error {
	coded, ok := errors.AsType[*makerguard.Error](storeError("opening the database", err))
	if !ok || coded.Code != makerguard.StoreUnavailable {
		return err
	}
	named := *coded
	named.Message = fmt.Sprintf("%s (database at %s)", coded.Message, strings.Join(opts.Hosts, ","))
	return &named
}
