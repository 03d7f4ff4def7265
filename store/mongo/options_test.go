package mongo_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/store/mongo"
)

func TestOptions_Defaults(t *testing.T) {
	o, err := mongo.ClientOptions("mongodb://localhost:27017/")
	if err != nil {
		t.Fatal(err)
	}
	if o.ReadConcern.Level != "majority" || o.WriteConcern.W != "majority" || !*o.WriteConcern.Journal || o.ReadPreference.Mode().String() != "primary" {
		t.Errorf("concerns = %v, %v, %v, want majority, majority with journal, primary", o.ReadConcern, o.WriteConcern, o.ReadPreference)
	}
	if !*o.RetryWrites || !*o.RetryReads || *o.MaxPoolSize != 100 {
		t.Errorf("retryable writes %v, reads %v, pool %d, want true, true, 100", *o.RetryWrites, *o.RetryReads, *o.MaxPoolSize)
	}
	if *o.ServerSelectionTimeout != 2*time.Second || *o.ConnectTimeout != 2*time.Second || *o.Timeout != 5*time.Second {
		t.Errorf("timeouts = %v, %v, %v, want 2s, 2s, 5s", *o.ServerSelectionTimeout, *o.ConnectTimeout, *o.Timeout)
	}
}

func TestOptions_TheURIOverrides(t *testing.T) {
	o, err := mongo.ClientOptions("mongodb://localhost/?maxPoolSize=7&timeoutMS=900&retryWrites=false&compressors=zstd,snappy&w=majority&journal=true&appName=mine")
	if err != nil {
		t.Fatal(err)
	}
	if *o.MaxPoolSize != 7 || *o.Timeout != 900*time.Millisecond || *o.RetryWrites || len(o.Compressors) != 2 || *o.AppName != "mine" {
		t.Errorf("pool %d, timeout %v, retryable writes %v, compressors %v, app %q, want the URI's", *o.MaxPoolSize, *o.Timeout, *o.RetryWrites, o.Compressors, *o.AppName)
	}
}

// goal: V12.2.1 V12.3.1 V12.3.2
func TestOptions_RefuseWhatBreaksPromises(t *testing.T) {
	for uri, want := range map[makerguard.Secret]string{
		"mongodb://localhost/?w=1":                              "w or journal",
		"mongodb://localhost/?w=majority&journal=false":         "w or journal",
		"mongodb://localhost/?readConcernLevel=local":           "readConcernLevel",
		"mongodb://localhost/?readPreference=secondary":         "readPreference",
		"mongodb://localhost/?readPreference=primaryPreferred":  "readPreference",
		"mongodb://localhost/?timeoutMS=0":                      "timeoutMS",
		"mongodb://db.example.com/":                             "not be encrypted",
		"mongodb://localhost,10.0.0.1:27018/":                   "not be encrypted",
		"mongodb://db.example.com/?tls=true&tlsInsecure=true":   "tlsInsecure",
		"mongodb://localhost/?ssl=true&sslInsecure=true":        "tlsInsecure",
		"mongodb://localhost/?maxPoolSize=many":                 "maxPoolSize",
		"http://localhost/":                                     "begin with mongodb://",
		"mongodb:///":                                           "hosts",
		"mongodb://localhost:99999/":                            "hosts",
		"mongodb://localhost/?authMechanism=MONGODB-X509&w=abc": "w or journal",
	} {
		_, err := mongo.ClientOptions(uri)
		if makerguard.CodeOf(err) != makerguard.ValidationFailed || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v, want VALIDATION_FAILED that names %q", string(uri), err, want)
		}
	}
	for _, uri := range []makerguard.Secret{
		"mongodb://localhost", "mongodb://127.0.0.1:1,[::1]:27017/db", "mongodb://db.example.com/?tls=true", "mongodb://db.example.com/?retryWrites=true&tls=false",
		"mongodb://%2Frun%2Fmongodb.sock/db", "mongodb://localhost/?readConcernLevel=linearizable",
	} {
		if _, err := mongo.ClientOptions(uri); err != nil {
			t.Errorf("%q gave %v, want none", string(uri), err)
		}
	}
}

// goal: V16.2.5
func TestOptions_ErrorsHoldNoSecret(t *testing.T) {
	for _, uri := range []makerguard.Secret{
		"mongodb://someone:hunter2@localhost:99999/",
		"mongodb://someone:hunter2@localhost/?maxPoolSize=many",
		"mongodb://someone:hunter2%zz@localhost/",
		"mongodb://someone:hunter2:x@localhost/",
		"mongodb://someone:hunter2@@localhost/",
		"mongodb://someone:hunter2/@localhost/",
		"mongodb+srv://someone:hunter2@localhost:1/",
		"someone:hunter2@localhost",
		"mongodb://someone:hunter2%40localhost:27017/",
		"mongodb://someone:x?hunter2=y@localhost/?maxPoolSize=many",
		"mongodb://localhost/?tls=true&tlsCertificateKeyFile=/no/such/file&tlsCertificateKeyFilePassword=hunter2",
		"mongodb://localhost/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:hunter2,x",
		"mongodb://db.example.com/?w=1&tlsCertificateKeyFilePassword=hunter2",
	} {
		_, err := mongo.ClientOptions(uri)
		if makerguard.CodeOf(err) != makerguard.ValidationFailed {
			t.Errorf("%q gave %v, want VALIDATION_FAILED", string(uri), err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the secret of %q is in the error: %v", string(uri), err)
		}
	}
}

func TestDatabaseOf(t *testing.T) {
	for uri, want := range map[makerguard.Secret]string{
		mongo.DefaultURI:                               "eyewear_ml",
		"mongodb://localhost":                          "eyewear_ml",
		"mongodb://localhost/?w=majority":              "eyewear_ml",
		"mongodb://localhost/?appName=a/b":             "eyewear_ml",
		"mongodb://u:p?x@localhost/makers?appName=a@b": "makers",
		"mongodb://localhost/makers":                   "makers",
		"mongodb://u:p%40@a:1,b:2/makers?tls=true":     "makers",
		"mongodb://%2Frun%2Fmongodb.sock/makers":       "makers",
	} {
		if got := mongo.DatabaseOf(uri); got != want {
			t.Errorf("DatabaseOf(%q) = %q, want %q", string(uri), got, want)
		}
	}
}

// TestOpen_SCRAM signs in to the database with a password, and with a wrong one.
//
// goal: V13.2.1 V16.2.5
func TestOpen_SCRAM(t *testing.T) {
	uri := newURI(t)
	s := openStore(t, mongo.Config{URI: uri})
	user := id.New("mg_test")
	err := s.Database().RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: user},
		{Key: "pwd", Value: "right-hunter2"},
		{Key: "roles", Value: bson.A{
			bson.D{{Key: "role", Value: "readWriteAnyDatabase"}, {Key: "db", Value: "admin"}},
			bson.D{{Key: "role", Value: "clusterAdmin"}, {Key: "db", Value: "admin"}},
		}},
	}).Err()
	if err != nil {
		t.Skipf("this server's test user may not make users: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Database().RunCommand(context.Background(), bson.D{{Key: "dropUser", Value: user}}).Err(); err != nil {
			t.Errorf("dropUser: %v", err)
		}
	})
	as := func(password string) makerguard.Secret {
		u, err := url.Parse(string(at(t, uri, "", "authMechanism=SCRAM-SHA-256", "authSource="+s.Database().Name())))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, password)
		return makerguard.Secret(u.String())
	}
	mine := openStore(t, mongo.Config{URI: as("right-hunter2")})
	if err := mine.Ping(t.Context()); err != nil {
		t.Errorf("Ping with the password: %v", err)
	}
	_, err = mongo.Open(t.Context(), mongo.Config{URI: as("wrong-hunter2")})
	if makerguard.CodeOf(err) != makerguard.StoreUnavailable || !strings.Contains(err.Error(), "does not accept the user") {
		t.Errorf("Open with a wrong password = %v, want STORE_UNAVAILABLE that says so", err)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in the error: %v", err)
	}
}

// TestOpen_TLS connects through a front that speaks TLS and asks for a client's certificate.
//
// goal: V12.3.2 V12.3.4
func TestOpen_TLS(t *testing.T) {
	uri := newURI(t)
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	front := tlsFront(t, hostOf(t, uri), ours)
	client := ours.issue(t, "makerguard", x509.ExtKeyUsageClientAuth)
	with := func(options ...string) makerguard.Secret {
		return at(t, uri, front, append(options, "directConnection=true", "tls=true")...)
	}
	s := openStore(t, mongo.Config{URI: with("tlsCAFile="+ours.file, "tlsCertificateKeyFile="+client)})
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping over TLS: %v", err)
	}
	for name, bad := range map[string]makerguard.Secret{
		"another authority":        with("tlsCAFile="+theirs.file, "tlsCertificateKeyFile="+client),
		"no authority":             with("tlsCertificateKeyFile=" + client),
		"no certificate":           with("tlsCAFile=" + ours.file),
		"another's certificate":    with("tlsCAFile="+ours.file, "tlsCertificateKeyFile="+theirs.issue(t, "makerguard", x509.ExtKeyUsageClientAuth)),
		"a server without its TLS": at(t, uri, "", "tls=true", "tlsCAFile="+ours.file),
	} {
		s, err := mongo.Open(t.Context(), mongo.Config{URI: bad})
		if makerguard.CodeOf(err) != makerguard.StoreUnavailable {
			t.Errorf("Open with %s = %v, want STORE_UNAVAILABLE", name, err)
		}
		if err == nil {
			_ = s.Close()
		}
	}
}

// TestOpen_WarnsOfRisk tells of what the URI allows and an operator should know.
func TestOpen_WarnsOfRisk(t *testing.T) {
	var out bytes.Buffer
	_, err := mongo.Open(t.Context(), mongo.Config{
		URI: "mongodb://192.0.2.1:1/?tls=false&serverSelectionTimeoutMS=10", Logger: slog.New(slog.NewTextHandler(&out, nil)),
	})
	if err == nil {
		t.Error("Open of a server that is not there gave no error")
	}
	for _, want := range []string{"is not encrypted", "without a user"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, out.String())
		}
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, file}
}

// issue writes a certificate and its key to a file, as tlsCertificateKeyFile takes them.
func (a authority) issue(t *testing.T, name string, use x509.ExtKeyUsage) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{use}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	file := filepath.Join(t.TempDir(), "certificate.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tlsFront passes TLS connections of clients that a certifies on to target in plain text.
func tlsFront(t *testing.T, target string, a authority) string {
	t.Helper()
	file := a.issue(t, "server", x509.ExtKeyUsageServerAuth)
	cert, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(out, in)
					_ = out.Close()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return listener.Addr().String()
}
