package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func footprintRows() []row {
	return []row{
		{path: "start to ready, new data directory", target: target{text: "under 300 ms", bound: 300, allocs: anyAllocs}, measure: startToReady},
		{path: "idle memory", target: target{text: "under 40 MB", bound: 40, allocs: anyAllocs}, measure: idleMemory},
		{path: "binary", target: target{text: "under 45 MB", bound: 45, allocs: anyAllocs}, measure: binarySize},
	}
}

// footprint is the result of a row that stands for itself.
func footprint(r row, got float64, unit string) result {
	return result{path: r.path, ours: fmt.Sprintf("%.0f %s", got, unit), against: "-", ratio: "-", target: r.target.String(), met: got < r.target.bound}
}

// startToReady is the median of five first starts, which make the store and all keys, up to
// the first good answer of /readyz.
func startToReady(l *lab, r row) (result, error) {
	if _, err := l.binary.path(l.ctx); err != nil { // built before the clock runs
		return result{}, err
	}
	var took []float64
	for range 5 {
		start := time.Now()
		p, err := serve(l, nil)
		if err != nil {
			return result{}, err
		}
		if err := p.ready(l.ctx, "/readyz"); err != nil {
			return result{}, err
		}
		took = append(took, float64(time.Since(start))/float64(time.Millisecond))
		if err := p.stop(); err != nil {
			return result{}, err
		}
	}
	return footprint(r, median(took), "ms"), nil
}

// idleTime is how long a server is left alone before its memory is looked at.
const idleTime = 2 * time.Second

// idleMemory is what is resident of a server that was just started, the pages of its
// program file included.
func idleMemory(l *lab, r row) (result, error) {
	p, err := serve(l, nil)
	if err != nil {
		return result{}, err
	}
	if err := p.ready(l.ctx, "/readyz"); err != nil {
		return result{}, err
	}
	time.Sleep(idleTime)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return result{}, fmt.Errorf("reading how much memory a process has works on Linux alone: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return footprint(r, kib*1024/1e6, "MB"), err
		}
	}
	return result{}, fmt.Errorf("the system does not tell how much memory a process has")
}

func binarySize(l *lab, r row) (result, error) {
	path, err := l.binary.path(l.ctx)
	if err != nil {
		return result{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return result{}, fmt.Errorf("measuring the binary: %w", err)
	}
	return footprint(r, float64(info.Size())/1e6, "MB"), nil
}
