// Package eval measures how well inputs are told apart: recall per class of attack and per
// source, false positives, and the time a judgement takes. What is measured is any
// function from a sample to a verdict, so that detectors can be compared on one set.
//
// A labelled set is a file with one JSON object a line:
//
//	{"input": "1' or 1=1--", "label": "sqli", "context": "query param", "source": "mine"}
//
// The label is "benign" or a class, by the short names of [Class] or those of the API. The
// context says where the input stood: "query param" (one value, which is the default),
// "query string", "json body", "form field", "free text", "html", "header", "cookie", "path"
// or "file name". What stands between the application and the wire was decoded once.
package eval

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// Benign is the label of inputs that are no attack.
const Benign = "benign"

// Sample is one labelled input.
type Sample struct {
	Input   string `json:"input"`
	Label   string `json:"label"`
	Context string `json:"context"`
	Source  string `json:"source"`
}

// classes are the short names that labelled sets use.
var classes = map[string]makerguard.ThreatType{
	"sqli": makerguard.SQLInjection, "xss": makerguard.XSS, "nosqli": makerguard.NoSQLInjection, "cmdi": makerguard.CommandInjection,
	"codei": makerguard.CodeInjection, "traversal": makerguard.PathTraversal, "lfi": makerguard.PathTraversal, "rfi": makerguard.FileInclusion,
	"ssrf": makerguard.SSRF, "ssti": makerguard.TemplateInjection, "ssi": makerguard.SSIInjection, "ldap": makerguard.LDAPInjection,
	"xxe": makerguard.XXE, "crlf": makerguard.CRLFInjection, "log4shell": makerguard.JNDILookup, "proto": makerguard.PrototypePollute,
	"deserialization": makerguard.Deserialization, "malformed": makerguard.MalformedInput,
}

// Class gives the class that a label names: a short name such as "sqli", or the API's own
// such as "sql_injection". It reports false for any other, "benign" too.
func Class(label string) (makerguard.ThreatType, bool) {
	if c, ok := classes[label]; ok {
		return c, true
	}
	for _, c := range classes {
		if string(c) == label {
			return c, true
		}
	}
	return "", false
}

// places are the contexts in which one value is inspected.
var places = map[string]threat.Input{
	"":            {Location: makerguard.InQuery},
	"query param": {Location: makerguard.InQuery},
	"form field":  {Location: makerguard.InForm},
	"free text":   {Location: makerguard.InText},
	"html":        {Location: makerguard.InForm, Kind: makerguard.KindHTML},
	"header":      {Location: makerguard.InHeader},
	"cookie":      {Location: makerguard.InCookie},
	"path":        {Location: makerguard.InPath},
	"file name":   {Location: makerguard.InFilename},
}

// maxLine bounds one sample in bytes.
const maxLine = 4 << 20

// Read reads a labelled set. It fails, naming the line, on what is not a sample: broken
// JSON, a label or a context that is none of those this package knows.
func Read(r io.Reader) ([]Sample, error) {
	var samples []Sample
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var s Sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, ok := Class(s.Label); !ok && s.Label != Benign {
			return nil, fmt.Errorf("line %d: label %q is neither benign nor a class", n, s.Label)
		}
		if _, ok := places[s.Context]; !ok && s.Context != "query string" && s.Context != "json body" {
			return nil, fmt.Errorf("line %d: context %q is unknown", n, s.Context)
		}
		samples = append(samples, s)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading samples: %w", err)
	}
	if len(samples) == 0 {
		return nil, errors.New("the set holds no samples")
	}
	return samples, nil
}

// Inspect gives a sample to d as the place it stood in would.
func Inspect(d *threat.Detector, s Sample) []makerguard.Finding {
	switch s.Context {
	case "json body":
		return d.InspectJSON(nil, threat.Input{Name: "body", Value: s.Input, Location: makerguard.InJSON})
	case "query string":
		return d.InspectQuery(nil, s.Input)
	}
	in := places[s.Context]
	in.Name, in.Value = "value", s.Input
	return d.Inspect(nil, in)
}

// Verdict is what a detector says of a sample.
type Verdict struct {
	Attack bool
	Types  []makerguard.ThreatType // the classes it names; none if it names no classes
	Rules  []string                // what spoke, for a person
}

// Judge returns the judge that d is.
func Judge(d *threat.Detector) func(Sample) Verdict {
	return func(s Sample) Verdict {
		fs := Inspect(d, s)
		if len(fs) == 0 {
			return Verdict{}
		}
		v := Verdict{Attack: true}
		for _, f := range fs {
			v.Types = append(v.Types, f.Type)
			v.Rules = append(v.Rules, f.Rule)
		}
		return v
	}
}

// Count sums up the verdicts on samples of one kind.
type Count struct {
	Rows  int `json:"rows"`
	Found int `json:"found"`    // said to be an attack
	Class int `json:"as_class"` // and named by the class of the label
}

// Rate is the share that was found, in percent; 0 if there are no rows.
func (c Count) Rate() float64 { return percent(c.Found, c.Rows) }

// ClassRate is the share that was found and named by its class, in percent.
func (c Count) ClassRate() float64 { return percent(c.Class, c.Rows) }

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// Case is a sample that was judged wrongly.
type Case struct {
	Sample
	Rules []string `json:"rules,omitempty"`
}

// Report is the outcome of one measurement.
type Report struct {
	Attacks Count                       `json:"attacks"`
	Clean   Count                       `json:"clean"`
	Labels  map[string]Count            `json:"labels"`  // of attacks
	Sources map[string]map[string]Count `json:"sources"` // label, "benign" too, by source

	FalsePositives []Case `json:"false_positives"`
	Misses         []Case `json:"-"`

	Mean time.Duration `json:"mean_ns"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	Max  time.Duration `json:"max_ns"`
}

// Measure lets judge speak on every sample, one after another, and calls step, if there is
// one, behind each.
func Measure(samples []Sample, judge func(Sample) Verdict, step func()) *Report {
	r := &Report{Labels: map[string]Count{}, Sources: map[string]map[string]Count{}}
	times := make([]time.Duration, 0, len(samples))
	var sum time.Duration
	for _, s := range samples {
		start := time.Now()
		v := judge(s)
		took := time.Since(start)
		times = append(times, took)
		sum += took
		r.note(s, v)
		if step != nil {
			step()
		}
	}
	if n := len(times); n > 0 {
		slices.Sort(times)
		r.Mean, r.P50, r.P99, r.Max = sum/time.Duration(n), times[n/2], times[n-1-n/100], times[n-1]
	}
	return r
}

func (r *Report) note(s Sample, v Verdict) {
	class, attack := Class(s.Label)
	one := Count{Rows: 1}
	if v.Attack {
		one.Found = 1
		if attack && slices.Contains(v.Types, class) {
			one.Class = 1
		}
	}
	by := r.Sources[s.Source]
	if by == nil {
		by = map[string]Count{}
		r.Sources[s.Source] = by
	}
	by[s.Label] = by[s.Label].plus(one)
	switch {
	case attack:
		r.Attacks = r.Attacks.plus(one)
		r.Labels[s.Label] = r.Labels[s.Label].plus(one)
		if !v.Attack {
			r.Misses = append(r.Misses, Case{Sample: s})
		}
	default:
		r.Clean = r.Clean.plus(one)
		if v.Attack {
			r.FalsePositives = append(r.FalsePositives, Case{s, v.Rules})
		}
	}
}

func (c Count) plus(d Count) Count {
	return Count{c.Rows + d.Rows, c.Found + d.Found, c.Class + d.Class}
}
