package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/corazawaf/libinjection-go"

	"github.com/makerguard/makerguard/threat"
	"github.com/makerguard/makerguard/threat/eval"
)

// judge is one of the detectors that are compared.
type judge struct {
	name  string
	judge func(eval.Sample) eval.Verdict
}

// judges are makerguard at each paranoia level, libinjection, and Coraza with the OWASP Core
// Rule Set at the levels that people run.
func judges() ([]judge, error) {
	var all []judge
	for level := 1; level <= 3; level++ {
		d, err := threat.NewDetector(threat.DetectorConfig{Paranoia: level})
		if err != nil {
			return nil, err
		}
		all = append(all, judge{"makerguard, level " + strconv.Itoa(level), eval.Judge(d)})
	}
	all = append(all, judge{"libinjection-go", libinjectionJudge})
	for level := 1; level <= 2; level++ {
		waf, err := newCoraza(level)
		if err != nil {
			return nil, err
		}
		all = append(all, judge{"Coraza + CRS 4, level " + strconv.Itoa(level), waf.judge})
	}
	return all, nil
}

// libinjectionJudge asks libinjection about every value, as a firewall would: a request's
// parameters, the keys and strings of JSON. What cannot be parsed is asked about whole.
func libinjectionJudge(s eval.Sample) eval.Verdict {
	found := false
	ask := func(v string) {
		if !found {
			found, _ = libinjection.IsSQLi(v)
			found = found || libinjection.IsXSS(v)
		}
	}
	switch s.Context {
	case "query string":
		values, _ := url.ParseQuery(s.Input) // what it could parse
		for name, list := range values {
			ask(name)
			for _, v := range list {
				ask(v)
			}
		}
	case "json body":
		var v any
		if json.Unmarshal([]byte(s.Input), &v) != nil {
			ask(s.Input)
		}
		eachString(v, ask)
	default:
		ask(s.Input)
	}
	return eval.Verdict{Attack: found}
}

// eachString calls f for every key and string of a JSON value.
func eachString(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			eachString(e, f)
		}
	case map[string]any:
		for k, e := range v {
			f(k)
			eachString(e, f)
		}
	}
}

// corazaWAF is Coraza with the whole Core Rule Set, blocking.
type corazaWAF struct{ coraza.WAF }

func newCoraza(level int) (*corazaWAF, error) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(fmt.Sprintf(`
Include @coraza.conf-recommended
Include @crs-setup.conf.example
SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=%d"
Include @owasp_crs/*.conf
SecRuleEngine On
SecAuditEngine Off
`, level)))
	if err != nil {
		return nil, fmt.Errorf("making Coraza: %w", err)
	}
	return &corazaWAF{waf}, nil
}

// judge sends the sample as the request it could have come in.
func (w *corazaWAF) judge(s eval.Sample) eval.Verdict {
	method, target, media, body := http.MethodGet, "/items", "", ""
	switch s.Context {
	case "query string":
		target += "?" + s.Input
	case "json body":
		method, media, body = http.MethodPost, "application/json", s.Input
	case "free text", "form field", "html":
		method, media, body = http.MethodPost, "application/x-www-form-urlencoded", "value="+url.QueryEscape(s.Input)
	default:
		target += "?value=" + url.QueryEscape(s.Input)
	}
	blocked, err := w.blocks(method, target, media, []byte(body))
	if err != nil {
		return eval.Verdict{Attack: true, Rules: []string{err.Error()}}
	}
	return eval.Verdict{Attack: blocked}
}

// blocks runs the phases of a request.
func (w *corazaWAF) blocks(method, target, media string, body []byte) (blocked bool, err error) {
	tx := w.NewTransaction()
	defer func() { err = errors.Join(err, tx.Close()) }()
	tx.ProcessConnection("192.0.2.7", 40000, "127.0.0.1", 443)
	tx.ProcessURI(target, method, "HTTP/1.1")
	tx.AddRequestHeader("Host", "market.example")
	tx.AddRequestHeader("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	tx.AddRequestHeader("Accept", "application/json")
	if media != "" {
		tx.AddRequestHeader("Content-Type", media)
		tx.AddRequestHeader("Content-Length", strconv.Itoa(len(body)))
	}
	tx.SetServerName("market.example")
	if tx.ProcessRequestHeaders() != nil {
		return true, nil
	}
	if len(body) > 0 {
		var it *types.Interruption
		if it, _, err = tx.WriteRequestBody(body); it != nil || err != nil {
			return it != nil, err
		}
	}
	it, err := tx.ProcessRequestBody()
	return it != nil, err
}
