package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

func gatewayRows() []row {
	return []row{{
		path: "/v1/forward-auth requests/s", against: "a net/http hello server",
		target:  target{relation: timesPerSecond, bound: 0.6, allocs: anyAllocs},
		measure: comparison(oneCore, connections, forwardAuth),
	}}
}

// connections are kept open by the load, each with one request under way.
const connections = 16

// oneProcessor gives a server one core, as the load has one, so that on a machine with two
// neither takes what the other needs.
var oneProcessor = []string{"GOMAXPROCS=1"}

// forwardAuth asks makerguard whether requests may pass: it authenticates, inspects, decides
// and counts on two meters, and logs as it does by default. The same bytes are sent to a
// server that says hello to everything. Both run in processes of their own.
func forwardAuth(l *lab) (ours, theirs side, err error) {
	dir, err := l.tempDir()
	if err != nil {
		return ours, theirs, err
	}
	file, err := writePolicy(dir)
	if err != nil {
		return ours, theirs, err
	}
	gate, err := serve(l, oneProcessor, "--policy", file, "--trusted-proxies", "127.0.0.1")
	if err != nil {
		return ours, theirs, err
	}
	self, err := os.Executable()
	if err != nil {
		return ours, theirs, err
	}
	hello, err := start(l, oneProcessor, self, helloCommand)
	if err != nil {
		return ours, theirs, err
	}
	member, access, err := signUpOverHTTP(l, gate.url)
	if err != nil {
		return ours, theirs, err
	}
	if err := gateHolds(gate.url, access); err != nil {
		return ours, theirs, err
	}
	question := forwardAuthRequest(access, "/api/products?source=editor")
	asked, err := newLoad(l, gate.url, question, "X-Makerguard-Member: "+member+"\r\n")
	if err != nil {
		return ours, theirs, err
	}
	greeted, err := newLoad(l, hello.url, question, "\r\n\r\nhello")
	if err != nil {
		return ours, theirs, err
	}
	l.finally(func() error {
		var usage struct {
			Meters map[string]struct{ Used int } `json:"meters"`
		}
		if err := call(l, http.MethodGet, gate.url+"/v1/usage", access, nil, &usage); err != nil {
			return err
		}
		// One more was let through by gateHolds.
		if got, through := usage.Meters["product_uploads"].Used, asked.answered+1; got != through {
			return fmt.Errorf("%d requests were let through, %d counted", through, got)
		}
		return nil
	})
	return side{run: asked.run}, side{run: greeted.run}, nil
}

// signUpOverHTTP registers a manufacturer and signs its owner in.
func signUpOverHTTP(l *lab, url string) (member, access string, err error) {
	body := map[string]string{"email": "owner@lunettes.example", "password": password, "company_name": "Lunettes", "country": "FR"}
	if err := call(l, http.MethodPost, url+"/v1/manufacturers", "", body, nil); err != nil {
		return "", "", err
	}
	var in struct {
		Access string `json:"access_token"`
		Member struct{ ID string }
	}
	delete(body, "company_name")
	delete(body, "country")
	if err := call(l, http.MethodPost, url+"/v1/auth/login", "", body, &in); err != nil {
		return "", "", err
	}
	if in.Access == "" || in.Member.ID == "" {
		return "", "", errors.New("the sign-in gave no access token")
	}
	return in.Member.ID, in.Access, nil
}

// call does one JSON request.
func call(l *lab, method, url, access string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(l.ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s is answered %s (%v): %s", method, url, resp.Status, err, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// gateHolds checks that makerguard lets a good request through and no other.
func gateHolds(url, access string) error {
	for _, tc := range []struct {
		what, token, target string
		status              int
	}{
		{"a good request", access, "/api/products", http.StatusOK},
		{"a forged token", forged(access), "/api/products", http.StatusUnauthorized},
		{"no route", access, "/api/prices", http.StatusForbidden},
		{"an attack in the query", access, "/api/products?name=1%27%20UNION%20SELECT%20email%2C%20password_hash%20FROM%20members%20--%20", http.StatusForbidden},
	} {
		c, err := dial(url)
		if err != nil {
			return err
		}
		status, err := c.roundTrip(forwardAuthRequest(tc.token, tc.target))
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
		if status != tc.status {
			return fmt.Errorf("forward-auth answers %s with %d, want %d: %s", tc.what, status, tc.status, c.answer)
		}
	}
	return nil
}

// forwardAuthRequest is what a proxy sends.
func forwardAuthRequest(access, target string) []byte {
	var b strings.Builder
	b.WriteString("GET /v1/forward-auth HTTP/1.1\r\nHost: gate.internal\r\n")
	for _, h := range [][2]string{
		{"X-Forwarded-For", "203.0.113.7"},
		{"X-Forwarded-Proto", "https"},
		{"X-Forwarded-Host", "market.example"},
		{"X-Forwarded-Method", http.MethodPost},
		{"X-Forwarded-Uri", target},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{"Accept-Language", "en-GB,en;q=0.8,fr;q=0.6"},
		{"Referer", "https://market.example/products/new"},
		{"Authorization", "Bearer " + access},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// load sends one request again and again over its connections. It writes and reads the
// bytes itself, so that what is measured is the server and not an HTTP client.
type load struct {
	conns    []*conn
	request  []byte
	expected []byte // must be in each answer
	answered int
}

func newLoad(l *lab, url string, request []byte, expected string) (*load, error) {
	d := &load{request: request, expected: []byte(expected)}
	for range connections {
		c, err := dial(url)
		if err != nil {
			return nil, err
		}
		l.finally(c.Close)
		d.conns = append(d.conns, c)
	}
	return d, nil
}

// run sends n requests, rounded up to the same number on each connection.
func (d *load) run(n int) error {
	var g errgroup.Group
	share := (n + len(d.conns) - 1) / len(d.conns)
	for _, c := range d.conns {
		g.Go(func() error {
			for range share {
				status, err := c.roundTrip(d.request)
				if err != nil {
					return err
				}
				if status != http.StatusOK || !bytes.Contains(c.answer, d.expected) {
					return fmt.Errorf("answered %q, want 200 with %q", c.answer, d.expected)
				}
			}
			return nil
		})
	}
	d.answered += share * len(d.conns)
	return g.Wait()
}

// conn is a connection with the last answer that came over it.
type conn struct {
	net.Conn
	reader *bufio.Reader
	answer []byte
}

func dial(url string) (*conn, error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, reader: bufio.NewReader(c)}, nil
}

// roundTrip sends a request and reads its answer, which must have a Content-Length.
func (c *conn) roundTrip(request []byte) (status int, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	c.answer = c.answer[:0]
	length := 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		c.answer = append(c.answer, line...)
		if len(line) == len("\r\n") {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	head := len(c.answer)
	c.answer = append(c.answer, make([]byte, length)...)
	if _, err := io.ReadFull(c.reader, c.answer[head:]); err != nil {
		return 0, err
	}
	return strconv.Atoi(string(c.answer[len("HTTP/1.1 "):len("HTTP/1.1 200")]))
}
