// Package faultproxy stands between makerguard and a database and breaks the connection in
// the ways that networks and databases do. It is for tests.
package faultproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Fault is what a Proxy does to traffic. The zero value passes everything on.
type Fault struct {
	// Refuse closes connections, old and new, as if the database were stopped.
	Refuse bool
	// Silent takes what is sent and answers nothing, as a half-open connection does.
	Silent bool
	// Delay is added to every answer.
	Delay time.Duration
	// Code answers every command but the handshake with this MongoDB error.
	Code int32
	// CodeName belongs to Code.
	CodeName string
}

// Proxy passes connections on to one address. It is safe for concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed when fault changes
	conns   map[net.Conn]struct{}
	closed  bool
}

// New starts a Proxy to an address, on a free port of the loopback interface.
func New(target string) (*Proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	p := &Proxy{target: target, listener: l, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

// Addr is where the Proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set changes what the Proxy does, from now on.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	if f.Refuse {
		p.closeAll()
	}
}

// Close ends all connections and waits for them.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.fault = Fault{}
	close(p.changed) // lets go of answers that are held back
	p.changed = make(chan struct{})
	p.closeAll()
	p.mu.Unlock()
	p.work.Wait()
	return err
}

// closeAll ends the connections. The caller holds mu.
func (p *Proxy) closeAll() {
	for c := range p.conns {
		_ = c.Close() // what it says of it is nobody's concern
	}
}

func (p *Proxy) now() (Fault, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

// keep remembers a connection until forget, unless it is to be closed at once.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.fault.Refuse {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		_ = client.Close()
		return
	}
	defer p.forget(client)
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	if !p.keep(server) {
		_ = server.Close()
		return
	}
	defer p.forget(server)
	var writing sync.Mutex // answers of ours and of the server's must not mix
	var work sync.WaitGroup
	work.Go(func() {
		defer p.forget(server)
		p.questions(client, server, &writing)
	})
	work.Go(func() {
		defer p.forget(client)
		p.answers(client, server, &writing)
	})
	work.Wait()
}

// answers passes on what the server says.
func (p *Proxy) answers(client, server net.Conn, writing *sync.Mutex) {
	for {
		message, err := readMessage(server)
		if err != nil {
			return
		}
		f, changed := p.now()
		for f.Silent { // held back until the fault is over
			<-changed
			f, changed = p.now()
		}
		time.Sleep(f.Delay)
		writing.Lock()
		_, err = client.Write(message)
		writing.Unlock()
		if err != nil {
			return
		}
	}
}

// questions passes on what the client says, or answers it.
func (p *Proxy) questions(client, server net.Conn, writing *sync.Mutex) {
	for {
		message, err := readMessage(client)
		if err != nil {
			return
		}
		f, _ := p.now()
		if f.Code != 0 && !isHandshake(message) {
			answer, err := errorAnswer(message, f)
			if err != nil {
				return
			}
			writing.Lock()
			_, err = client.Write(answer)
			writing.Unlock()
			if err != nil {
				return
			}
			continue
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

// The wire protocol: a header of four little-endian int32, of which the first is the length of
// the message, the second its id, the third that of the request it answers, the fourth the kind.
const (
	headerSize = 16
	maxMessage = 64 << 20
	opMsg      = 2013
	sections   = headerSize + 4 // behind the flags
)

func readMessage(r io.Reader) ([]byte, error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header)
	if size < headerSize || size > maxMessage {
		return nil, errors.New("not a message")
	}
	message := make([]byte, size)
	copy(message, header)
	_, err := io.ReadFull(r, message[headerSize:])
	return message, err
}

// isHandshake tells whether a message belongs to the driver's own conversation.
func isHandshake(message []byte) bool {
	if len(message) < sections+1 || binary.LittleEndian.Uint32(message[12:]) != opMsg || message[sections] != 0 {
		return true // an old handshake, in another kind of message
	}
	elements, err := bson.Raw(message[sections+1:]).Elements()
	if err != nil || len(elements) == 0 {
		return false
	}
	switch elements[0].Key() {
	case "hello", "isMaster", "ismaster", "endSessions":
		return true
	}
	return false
}

func errorAnswer(question []byte, f Fault) ([]byte, error) {
	doc, err := bson.Marshal(bson.D{
		{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: "made up by a test"}, {Key: "code", Value: f.Code}, {Key: "codeName", Value: f.CodeName},
	})
	if err != nil {
		return nil, err
	}
	answer := make([]byte, sections+1, sections+1+len(doc))
	binary.LittleEndian.PutUint32(answer, uint32(sections+1+len(doc)))
	copy(answer[8:12], question[4:8])
	binary.LittleEndian.PutUint32(answer[12:], opMsg)
	return append(answer, doc...), nil
}
