package rbac

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/makerguard/makerguard"
)

// document gives the root of the one document in src.
func (p *parser) document(src []byte) *yaml.Node {
	if len(src) > maxSource {
		p.failf(nil, "", "the file has more than %d bytes", maxSource)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			p.failf(nil, "", "the file is empty; it must say at least version: 1")
		} else {
			p.failf(nil, "", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return nil
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		p.failf(nil, "", "the file must hold one YAML document")
		return nil
	}
	if len(doc.Content) == 0 {
		p.failf(nil, "", "the file is empty; it must say at least version: 1")
		return nil
	}
	return doc.Content[0]
}

func (p *parser) failf(n *yaml.Node, pointer, format string, args ...any) {
	if len(p.problems) >= maxProblems {
		return
	}
	msg := fmt.Sprintf(format, args...)
	if n != nil {
		msg = fmt.Sprintf("line %d: %s", n.Line, msg)
	}
	p.problems = append(p.problems, makerguard.FieldError{Pointer: pointer, Rule: ruleName, Message: msg})
}

// entry is one key of a mapping with its value.
type entry struct {
	key     string
	value   *yaml.Node
	pointer string
}

// mapping gives the entries of n. It refuses a key that is repeated, or that is not
// among known when known is not nil.
func (p *parser) mapping(n *yaml.Node, pointer string, known ...string) []entry {
	if n.Kind != yaml.MappingNode {
		p.failf(n, pointer, "%s must be a mapping", what(pointer))
		return nil
	}
	entries := make([]entry, 0, len(n.Content)/2)
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str" {
			p.failf(k, pointer, "a key must be a plain text")
			continue
		}
		if line, ok := seen[k.Value]; ok {
			p.failf(k, pointer, "%q is given again; first on line %d", clip(k.Value), line)
			continue
		}
		seen[k.Value] = k.Line
		if known != nil && !slices.Contains(known, k.Value) {
			p.failf(k, pointer, "unknown key %q; known are %s", clip(k.Value), strings.Join(known, ", "))
			continue
		}
		entries = append(entries, entry{key: k.Value, value: v, pointer: pointer + "/" + escapePointer(k.Value)})
	}
	return entries
}

func (p *parser) list(n *yaml.Node, pointer string, limit int) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		p.failf(n, pointer, "%s must be a list", what(pointer))
		return nil
	}
	if len(n.Content) > limit {
		p.failf(n, pointer, "%s has more than %d items", what(pointer), limit)
		return nil
	}
	return n.Content
}

func (p *parser) text(n *yaml.Node, pointer string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		p.failf(n, pointer, "%s must be a text", what(pointer))
		return "", false
	}
	return n.Value, true
}

func (p *parser) choice(n *yaml.Node, pointer string, choices ...string) (string, bool) {
	s, ok := p.text(n, pointer)
	if ok && !slices.Contains(choices, s) {
		p.failf(n, pointer, "%s is %q; it must be %s", what(pointer), clip(s), strings.Join(choices, " or "))
		return "", false
	}
	return s, ok
}

func (p *parser) boolean(n *yaml.Node, pointer string) bool {
	b, err := strconv.ParseBool(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || err != nil {
		p.failf(n, pointer, "%s must be true or false", what(pointer))
		return false
	}
	return b
}

// number reads a count; "unlimited" is makerguard.Unlimited where that is possible.
func (p *parser) number(n *yaml.Node, pointer string, unlimited bool) (int64, bool) {
	if unlimited && n.Kind == yaml.ScalarNode && n.Value == "unlimited" {
		return makerguard.Unlimited, true
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || v < 0 || v > maxAmount {
		p.failf(n, pointer, "%s must be a whole number from 0 to %d%s", what(pointer), int64(maxAmount),
			map[bool]string{true: `, or "unlimited"`}[unlimited])
		return 0, false
	}
	return v, true
}

func names[T ~string](all []T) []string {
	s := make([]string, len(all))
	for i, n := range all {
		s[i] = string(n)
	}
	return s
}

func item(pointer string, i int) string { return pointer + "/" + strconv.Itoa(i) }

// escapePointer makes a key a token of a JSON pointer (RFC 6901, section 3).
func escapePointer(key string) string {
	return pointerEscape.Replace(clip(key))
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// what names the member at pointer in a message.
func what(pointer string) string {
	if pointer == "" {
		return "the policy"
	}
	return strings.ReplaceAll(pointer[1:], "/", ".")
}

// clip bounds what a message repeats of the file.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
