package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// binary is the makerguard that is shipped, built when a row first needs it.
type binary struct {
	dir  string
	path func(context.Context) (string, error)
}

func newBinary() (*binary, error) {
	dir, err := os.MkdirTemp("", "makerguard-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	b := &binary{dir: dir}
	var once sync.Once
	var built error
	b.path = func(ctx context.Context) (string, error) {
		path := filepath.Join(dir, "makerguard")
		once.Do(func() { built = build(ctx, path) })
		return path, built
	}
	return b, nil
}

func (b *binary) remove() error { return os.RemoveAll(b.dir) }

// build does what `make build` does.
func build(ctx context.Context, path string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/makerguard")
	cmd.Dir, cmd.Env, cmd.Stderr = root, append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building makerguard: %w", err)
	}
	return nil
}

// moduleRoot is where makerguard's source is.
func moduleRoot(ctx context.Context) (string, error) {
	return output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/makerguard/makerguard")
}

// process is a server that runs beside this program.
type process struct {
	cmd *exec.Cmd
	url string
}

// readyLine is how both servers say that they take requests.
const readyLine = "listening on http://"

// start runs a server until the end of the row and returns when it has said where it listens.
func start(l *lab, env []string, path string, args ...string) (*process, error) {
	cmd := exec.CommandContext(l.ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	p := &process{cmd: cmd}
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), readyLine)
	if err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("%s %s did not start: it said %q", path, strings.Join(args, " "), line), p.stop())
	}
	p.url = "http://" + addr
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines) // until it ends
	}()
	l.finally(func() error {
		err := p.stop()
		<-drained
		return err
	})
	return p, nil
}

// stop ends the process as a service manager does. Stopping twice does nothing.
func (p *process) stop() error {
	if p.cmd.ProcessState != nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping: %w", err)
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// ready waits until the server answers path with 200.
func (p *process) ready(ctx context.Context, path string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("asking whether it is ready: %w", err)
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// serve starts makerguard on a new data directory.
func serve(l *lab, env []string, args ...string) (*process, error) {
	path, err := l.binary.path(l.ctx)
	if err != nil {
		return nil, err
	}
	dir, err := l.tempDir()
	if err != nil {
		return nil, err
	}
	return start(l, env, path, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data")}, args...)...)
}

// helloCommand makes this program the server that the gateway is compared with.
const helloCommand = "hello"

// serveHello is the least that a server on net/http does.
func serveHello() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(readyLine + listener.Addr().String())
	srv := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		}),
	}
	return srv.Serve(listener)
}
