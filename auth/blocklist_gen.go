//go:build ignore

// This program makes blocklist.txt.gz from the lists of zxcvbn, which its npm package
// (version 4.4.2, MIT licence, see blocklist.LICENSE) carries in lib/frequency_lists.js: all
// passwords, the most frequent first, then the names and the more frequent words that the
// package leaves out of its passwords since they stand in those lists.
//
//	npm pack zxcvbn@4.4.2 && tar xzf zxcvbn-4.4.2.tgz
//	go run blocklist_gen.go package/lib/frequency_lists.js
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run blocklist_gen.go frequency_lists.js")
	}
	source, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var words []string
	seen := map[string]bool{}
	for _, take := range []struct {
		list string
		most int
	}{
		{"passwords", 30_000},
		{"male_names", 4_000},
		{"female_names", 4_000},
		{"surnames", 10_000},
		{"english_wikipedia", 15_000},
		{"us_tv_and_film", 10_000},
	} {
		list := regexp.MustCompile(`\b` + take.list + `: "([^"]*)"`).FindSubmatch(source)
		if list == nil {
			log.Fatal("no list ", take.list, " in ", os.Args[1])
		}
		all := strings.Split(string(list[1]), ",")
		for _, w := range all[:min(take.most, len(all))] {
			if !seen[w] && len(w) >= 3 {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(z, strings.Join(words, "\n"))
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("blocklist.txt.gz", out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(words), "words,", out.Len(), "bytes")
}
