package threat

// maxKey is the longest key of the tables that are looked up in any case.
const maxKey = 40

// inAnyCase looks up s in m, whose keys are in lower case and at most maxKey long,
// without allocating.
func inAnyCase[V any](m map[string]V, s string) V {
	var buf [maxKey]byte
	if len(s) > maxKey {
		var none V
		return none
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return m[string(buf[:len(s)])]
}

// set makes a set of strings.
func set(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

// hasPrefixFold reports whether s starts with prefix, which is in lower case.
func hasPrefixFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// indexFold is strings.Index in any case; sub is in lower case.
func indexFold(s, sub string) int {
	first := sub[0]
	fold := byte(0)
	if isLetter(first) {
		fold = 'a' - 'A'
	}
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i]|fold == first && hasPrefixFold(s[i:], sub) {
			return i
		}
	}
	return -1
}
