package threat_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(1, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func TestHunt(t *testing.T) {
	if os.Getenv("HUNT") == "" {
		t.Skip()
	}
	runtime.LockOSThread()
	det := map[int]*threat.Detector{}
	for p := 1; p <= 3; p++ {
		det[p], _ = threat.NewDetector(threat.DetectorConfig{Paranoia: p})
	}
	run := map[string]func(*threat.Detector, string){
		"value": func(d *threat.Detector, s string) {
			d.Inspect(nil, threat.Input{Name: "v", Value: s, Location: makerguard.InQuery})
		},
		"text": func(d *threat.Detector, s string) {
			d.Inspect(nil, threat.Input{Name: "v", Value: s, Location: makerguard.InText})
		},
		"json": func(d *threat.Detector, s string) { d.InspectJSON(nil, "b", []byte(s), makerguard.InJSON) },
		"jstr": func(d *threat.Detector, s string) {
			b, _ := json.Marshal([]string{s})
			d.InspectJSON(nil, "b", b[:min(len(b), len(s))], makerguard.InJSON)
		},
		"query": func(d *threat.Detector, s string) { d.InspectQuery(nil, s) },
		"form":  func(d *threat.Detector, s string) { d.InspectForm(nil, "a="+url.QueryEscape(s)) },
	}
	var pieces []string
	seen := map[string]bool{}
	add := func(s string) {
		if s != "" && !seen[s] {
			seen[s] = true
			pieces = append(pieces, s)
		}
	}
	for _, s := range stubborn {
		add(s)
	}
	add(strings.Join(stubborn, " "))
	add(strings.Join(stubborn, ""))
	mode := os.Getenv("HUNT")
	if strings.Contains(mode, "a") {
		for _, n := range []string{"testdata/attacks.jsonl", "testdata/clean.jsonl"} {
			f, _ := os.Open(n)
			sc := bufio.NewScanner(f)
			sc.Buffer(nil, 1<<20)
			for sc.Scan() {
				var r struct{ Input string }
				json.Unmarshal(sc.Bytes(), &r)
				add(r.Input)
				add(r.Input + " ")
			}
		}
	}
	tok := strings.Fields(`' " ` + "`" + ` ( ) [ ] { } < > / \ | & ; $ # * @ : = ! + - -- /* */ /*! || && :: @@ .. ../ , . ^ % ~ 1 a or and not select union from where order by group insert into drop table update set case when in is like between null if concat( sleep exec @a 0x41 'a' "a" 'a a' '' <a </a <svg <!-- <? <% onload= onx= href= style= src= javascript: data: alert( alert eval( document. window. function( => this. return while( system( $_GET[ {{ }} ${ #{ $( %0a %25 %2525 &lt; &# &amp; \u0027 \x27 \n \\ cat ls id; wget /etc/passwd /bin/sh ?? http:// file:// //a @a. 127.0.0.1 0x7f. __ __proto__ constructor. O:4: !!python [$ne $where: (& (| *)( <!ENTITY <!DOCTYPE <xi: ${jndi: ${lower: ${:- php:// \r\n: classloader. Runtime. a.b.c. for %a AA== rO0AB +ADw- Ａ é ’ ＜ expression( url( @import a=b& a[b]= 1e1 0x -1 |a ;a &a ` + "`a` $a ${a} a$@b c'a't c\\a\\t")
	tok = append(tok, " ", "\n", "\r\n", "\t", "\x00", "\xc0\xae", "\xff", "\u00a0", "\u200b")
	if strings.Contains(mode, "1") {
		for _, a := range tok {
			add(a)
			add(a + " ")
			add(a + "\n")
		}
	}
	if strings.Contains(mode, "2") {
		for _, a := range tok {
			for _, b := range tok {
				add(a + b)
				if strings.Contains(mode, "s") {
					add(a + " " + b + " ")
				}
			}
		}
	}
	if f := os.Getenv("HUNT_PIECES"); f != "" {
		pieces = nil
		b, _ := os.ReadFile(f)
		for l := range strings.Lines(string(b)) {
			p, err := strconv.Unquote(strings.TrimSpace(l))
			if err == nil {
				add(p)
			}
		}
	}
	ways := strings.Fields(os.Getenv("HUNT_WAYS"))
	if len(ways) == 0 {
		ways = []string{"value", "text", "json", "jstr", "query", "form"}
	}
	levels := []int{1, 3}
	type res struct {
		d     time.Duration
		piece string
		way   string
		level int
	}
	var all []res
	size := 16 << 10
	if s, err := strconv.Atoi(os.Getenv("HUNT_SIZE")); err == nil {
		size = s << 10
	}
	for _, p := range pieces {
		text := fill(p, size)
		best := res{}
		for _, w := range ways {
			for _, l := range levels {
				start := cpu()
				run[w](det[l], text)
				d := cpu() - start
				all = append(all, res{d, p, w, l})
				if d > best.d {
					best = res{d, p, w, l}
				}
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].d > all[j].d })
	text := func(p string) string { return fill(p, 128<<10) }
	var top []res
	had := map[string]int{}
	for _, r := range all {
		if had[r.piece] >= 2 {
			continue
		}
		had[r.piece]++
		if len(top) == 150 {
			break
		}
		s := text(r.piece)
		r.d = time.Hour
		for range 4 {
			start := cpu()
			run[r.way](det[r.level], s)
			r.d = min(r.d, cpu()-start)
		}
		top = append(top, r)
	}
	sort.Slice(top, func(i, j int) bool { return top[i].d > top[j].d })
	over := 0
	for i, r := range top {
		if r.d > 10*time.Millisecond {
			over++
		}
		if i < 70 {
			fmt.Printf("%8.2f ms %6.0f ns/B %-5s %d %.70q\n", float64(r.d)/1e6, float64(r.d)/float64(128<<10), r.way, r.level, r.piece)
		}
	}
	fmt.Println(len(pieces), "pieces;", over, "of the top", len(top), "over 10 ms")
}
