package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/store/sqlite"
)

// The test binary runs itself as another process that does what childRole says.
const (
	childRole = "MAKERGUARD_TEST_CHILD"
	childPath = "MAKERGUARD_TEST_PATH"

	roleWriter = "writer"
	roleServer = "server"
)

func child(role, path string) int {
	run := map[string]func(string) error{roleWriter: writeForEver, roleServer: holdLock}[role]
	if err := run(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1 // it is to be killed
}

// writeForEver registers manufacturers from many goroutines and prints the number of
// each once it is acknowledged.
func writeForEver(path string) error {
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for g := range errs {
		wg.Go(func() {
			for i := 0; errs[g] == nil; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				f := makerguard.Manufacturer{ID: makerguard.ManufacturerID(name), CreatedAt: now, UpdatedAt: now}
				m := makerguard.Member{ID: makerguard.MemberID(name), EmailKey: name, CreatedAt: now, UpdatedAt: now}
				if errs[g] = s.CreateManufacturer(context.Background(), f, m); errs[g] == nil {
					fmt.Println(name)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func holdLock(path string) error {
	if _, err := sqlite.Lock(filepath.Dir(path)); err != nil {
		return err
	}
	fmt.Println("locked")
	select {} // until it is killed
}

// startChild starts this binary in a role and gives what it prints.
func startChild(t *testing.T, role, path string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewReader(out)
}

// goal: V2.3.3
func TestCrash_KeepsWhatWasAcknowledged(t *testing.T) {
	path := tempPath(t)
	const rounds, perRound = 3, 150
	acknowledged := make(map[string]bool)
	for range rounds {
		cmd, out := startChild(t, roleWriter, path)
		for n := 0; ; n++ {
			if n == perRound { // SIGKILL, in the middle of its work
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			line, err := out.ReadString('\n')
			if err != nil { // what came without its end was not acknowledged
				if !errors.Is(err, io.EOF) || n < perRound {
					t.Fatalf("the child stopped after %d: %v", n, err)
				}
				break
			}
			acknowledged[strings.TrimSpace(line)] = true
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended with %v, want to have killed it", err)
		}
	}

	s := openAt(t, path)
	stored := 0
	for after := makerguard.ManufacturerID(""); ; {
		page, err := s.Manufacturers(t.Context(), "", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, f := range page {
			members, err := s.Members(t.Context(), f.ID)
			if err != nil || len(members) != 1 {
				t.Errorf("%s has %d members, %v, want the one it was registered with", f.ID, len(members), err)
			}
			delete(acknowledged, string(f.ID))
			after = f.ID
			stored++
		}
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged manufacturers are lost: %v", len(acknowledged), acknowledged)
	}
	if check, err := s.Number(t.Context(), `SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'`); err != nil || check != 0 {
		t.Errorf("integrity_check found %d faults, %v", check, err)
	}
	if check, err := s.Number(t.Context(), `SELECT COUNT(*) FROM pragma_foreign_key_check`); err != nil || check != 0 {
		t.Errorf("foreign_key_check found %d faults, %v", check, err)
	}
	t.Logf("killed %d times; %d stored, none of the acknowledged lost", rounds, stored)
}

func TestLock_OneServerOnly(t *testing.T) {
	path := tempPath(t)
	dir := filepath.Dir(path)
	cmd, out := startChild(t, roleServer, path)
	if line, err := out.ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("the child printed %q, %v", line, err)
	}
	_, err := sqlite.Lock(dir)
	if want := fmt.Sprintf("process %d", cmd.Process.Pid); !errors.Is(err, makerguard.Conflict) || !strings.Contains(err.Error(), want) {
		t.Errorf("Lock = %v, want Conflict that names %s", err, want)
	}
	put(t, openAt(t, path), "one") // commands go on beside a server

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for range 2 {
		release, err := sqlite.Lock(dir)
		if err != nil {
			t.Fatalf("Lock after the server was killed: %v", err)
		}
		if _, err := sqlite.Lock(dir); !errors.Is(err, makerguard.Conflict) {
			t.Errorf("a second Lock = %v, want Conflict", err)
		}
		if err := release(); err != nil {
			t.Fatalf("release: %v", err)
		}
	}
}

func TestLock_NoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Lock(filepath.Join(file, "data"))
	wantUnavailable(t, err, "cannot be opened")
}
