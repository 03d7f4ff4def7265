package upload

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/makerguard/makerguard"
)

// What an archive may unpack to.
const (
	MaxEntries  = 10_000
	MaxUnpacked = 1 << 30 // bytes, by the archive's own account
	MaxRatio    = 200     // of what is unpacked to what is packed, from ratioFrom on
)

// ratioFrom is how many unpacked bytes a ratio is judged from: a small file of blanks packs well.
const ratioFrom = 2 << 20

var (
	ruleZipBomb      = &rule{"upload.zip.bomb", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "The archive has more than 10,000 entries, unpacks to more than 1 GiB or to 200 times its size, or to more than it says, to fill a disk."}
	ruleZipPath      = &rule{"upload.zip.path", makerguard.PathTraversal, makerguard.SeverityCritical, certain, "An entry's name leads out of the directory that the archive is unpacked in, or is a link."}
	ruleZipOverlap   = &rule{"upload.zip.overlap", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "Entries of the archive share the same bytes, as those of archives do that unpack to far more than they are."}
	ruleZipMalformed = &rule{"upload.zip.malformed", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "The archive's directory and its entries disagree, so that readers see different files in it."}
	ruleZipEncrypted = &rule{"upload.zip.encrypted", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "Entries of the archive are encrypted, so that nobody can inspect them."}
	ruleZipNested    = &rule{"upload.zip.nested", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "An archive within the archive, whose contents are not inspected."}
	ruleZipProgram   = &rule{"upload.zip.program", makerguard.CodeInjection, makerguard.SeverityHigh, certain, "A program or a script in the archive."}
	ruleZipMacro     = &rule{"upload.zip.macro", makerguard.CodeInjection, makerguard.SeverityHigh, certain, "The office document has macros, which run where it is opened."}
)

// entry is a file of an archive (APPNOTE.TXT 4.3 and 4.4).
type entry struct {
	name             string
	flags, method    uint16
	packed, unpacked uint64
	header           uint64 // where its local header stands
	data             uint64 // where its bytes stand; 0 if that is not known
	mode             uint32 // of Unix; 0 if the archive does not tell
}

// Flags and methods of entries.
const (
	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3 // the sizes follow the data
	flagStrong     = 1 << 6
	flagMasked     = 1 << 13
	methodStored   = 0
	methodDeflate  = 8
	methodAES      = 99
)

// zip inspects an archive: by its directory or, if that was not read, by the headers in front of
// its entries.
func (x *inspection) zip(b []byte) {
	var list []entry
	if at := endRecord(b); at >= 0 && !x.file.Truncated {
		if list = directory(b, at); list == nil {
			x.say(ruleZipMalformed, at, len(b))
			list = headers(b)
		} else {
			x.agree(b, list)
		}
	} else {
		if !x.file.Truncated {
			x.say(ruleZipMalformed, 0, len(b))
		}
		list = headers(b)
	}
	seen := make(map[string]bool, len(list))
	for i := range list {
		x.entry(&list[i])
		if seen[list[i].name] {
			x.tell(ruleZipMalformed, list[i].name)
		}
		seen[list[i].name] = true
	}
	x.sizes(list)
	x.overlap(list)
	x.inflate(b, list)
}

// longestEnd is how long the record that ends an archive is with the longest comment.
const longestEnd = 22 + 1<<16 - 1

// endRecord finds the record that ends an archive (4.3.16), with a comment that reaches to the end of
// the file; -1 if there is none, which is also so for a file that was cut off.
func endRecord(b []byte) int {
	const length = 22
	tail := b[max(0, len(b)-longestEnd):]
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || len(tail)-i < length || int(binary.LittleEndian.Uint16(tail[i+20:])) != len(tail)-i-length {
		return -1
	}
	return len(b) - len(tail) + i
}

// directory reads the entries that the record at a place announces; nil if they are not where
// it says. One more than are allowed is enough.
func directory(b []byte, at int) []entry {
	if len(b)-at < 22 {
		return nil
	}
	count, size, from := int(binary.LittleEndian.Uint16(b[at+10:])), int64(binary.LittleEndian.Uint32(b[at+12:])), int64(binary.LittleEndian.Uint32(b[at+16:]))
	wide := count == 0xffff || size == 0xffffffff || from == 0xffffffff
	if wide && at >= 76 && string(b[at-20:at-16]) == "PK\x06\x07" && string(b[at-76:at-72]) == "PK\x06\x06" { // zip64 (4.3.14)
		at -= 76
		count = int(min(binary.LittleEndian.Uint64(b[at+32:]), 1<<31))
		size, from = int64(binary.LittleEndian.Uint64(b[at+40:])), int64(binary.LittleEndian.Uint64(b[at+48:]))
	}
	if size < 0 || from < 0 || size > int64(at) || from != int64(at)-size {
		return nil
	}
	list := []entry{}
	for i := int(from); i < at; {
		if i+46 > at || string(b[i:i+4]) != "PK\x01\x02" {
			return nil
		}
		h := b[i:]
		name, extra, comment := int(binary.LittleEndian.Uint16(h[28:])), int(binary.LittleEndian.Uint16(h[30:])), int(binary.LittleEndian.Uint16(h[32:]))
		if i+46+name+extra+comment > at {
			return nil
		}
		e := entry{
			name:  string(h[46 : 46+name]),
			flags: binary.LittleEndian.Uint16(h[8:]), method: binary.LittleEndian.Uint16(h[10:]),
			packed: uint64(binary.LittleEndian.Uint32(h[20:])), unpacked: uint64(binary.LittleEndian.Uint32(h[24:])),
			header: uint64(binary.LittleEndian.Uint32(h[42:])),
		}
		if h[5] == 3 || h[5] == 19 { // made on Unix or macOS
			e.mode = binary.LittleEndian.Uint32(h[38:]) >> 16
		}
		e.widen(h[46+name:46+name+extra], &e.unpacked, &e.packed, &e.header)
		if list = append(list, e); len(list) > MaxEntries {
			return list
		}
		i += 46 + name + extra + comment
	}
	if len(list) != count {
		return nil
	}
	return list
}

// widen reads the sizes that did not fit four bytes from the extra field (4.5.3).
func (e *entry) widen(extra []byte, sizes ...*uint64) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return
		}
		if id == 1 {
			field := extra[:n]
			for _, v := range sizes {
				if *v == 0xffffffff && len(field) >= 8 {
					*v, field = binary.LittleEndian.Uint64(field), field[8:]
				}
			}
			return
		}
		extra = extra[n:]
	}
}

// localHeader reads the header in front of an entry (4.3.7).
func localHeader(b []byte, at uint64) (e entry, ok bool) {
	if at > uint64(len(b)) || len(b)-int(at) < 30 || string(b[at:at+4]) != "PK\x03\x04" {
		return e, false
	}
	h := b[at:]
	name, extra := int(binary.LittleEndian.Uint16(h[26:])), int(binary.LittleEndian.Uint16(h[28:]))
	if len(h) < 30+name+extra {
		return e, false
	}
	e = entry{
		name:  string(h[30 : 30+name]),
		flags: binary.LittleEndian.Uint16(h[6:]), method: binary.LittleEndian.Uint16(h[8:]),
		packed: uint64(binary.LittleEndian.Uint32(h[18:])), unpacked: uint64(binary.LittleEndian.Uint32(h[22:])),
		header: at, data: at + uint64(30+name+extra),
	}
	e.widen(h[30+name:30+name+extra], &e.unpacked, &e.packed)
	return e, true
}

// headers finds entries by the headers in front of them. Where the size of an entry's data is
// not known, the next header is looked for.
func headers(b []byte) (list []entry) {
	for at := 0; len(list) <= MaxEntries; {
		n := bytes.Index(b[at:], []byte("PK\x03\x04"))
		if n < 0 {
			break
		}
		at += n
		e, ok := localHeader(b, uint64(at))
		if !ok {
			at += 4
			continue
		}
		list = append(list, e)
		at = int(e.data)
		if e.flags&flagDescriptor == 0 {
			at += int(min(e.packed, uint64(len(b)-at)))
		}
	}
	return list
}

// agree holds entries of the directory against the headers in front of their data, and notes where
// that stands.
func (x *inspection) agree(b []byte, list []entry) {
	for i := range list {
		e := &list[i]
		l, ok := localHeader(b, e.header)
		said := l.flags&flagDescriptor == 0
		if !ok || l.name != e.name || l.method != e.method || (l.flags^e.flags)&(flagEncrypted|flagMasked) != 0 ||
			said && (l.packed != e.packed || l.unpacked != e.unpacked) ||
			e.packed > uint64(len(b)) || l.data+e.packed > uint64(len(b)) {
			x.tell(ruleZipMalformed, e.name)
		}
		e.data = l.data
	}
}

// archives are endings of what is unpacked in turn.
var archives = endings("zip gz tgz bz2 tbz xz txz zst 7z rar tar lz lzma z cab arj ace jar war ear")

// entry inspects what an entry says of itself.
func (x *inspection) entry(e *entry) {
	steps := strings.Split(strings.ReplaceAll(e.name, `\`, "/"), "/")
	if steps[0] == "" || isPath(steps[0]) && steps[0] != "." || slices.Contains(steps, "..") ||
		strings.ContainsFunc(e.name, misleading) || e.mode&0o170000 == 0o120000 {
		x.tell(ruleZipPath, e.name)
	}
	if e.flags&(flagEncrypted|flagStrong|flagMasked) != 0 || e.method == methodAES {
		x.tell(ruleZipEncrypted, e.name)
	}
	base := strings.ToLower(path.Base(plainName(e.name)))
	switch {
	case base == "vbaproject.bin":
		x.tell(ruleZipMacro, e.name)
	case archives[strings.TrimPrefix(path.Ext(base), ".")]:
		x.tell(ruleZipNested, e.name)
	case configNames[base], runnable(base) != runsNowhere:
		x.tell(ruleZipProgram, e.name)
	}
}

// sizes judges what the archive says that it unpacks to.
func (x *inspection) sizes(list []entry) {
	var packed, unpacked uint64
	for _, e := range list {
		packed, unpacked = packed+min(e.packed, 1<<40), unpacked+min(e.unpacked, 1<<40)
		if e.unpacked > ratioFrom && e.packed > 0 && e.unpacked/e.packed > MaxRatio {
			x.tell(ruleZipBomb, fmt.Sprintf("%d bytes of %d: %s", e.unpacked, e.packed, e.name))
		}
	}
	if len(list) > MaxEntries || unpacked > MaxUnpacked {
		x.tell(ruleZipBomb, fmt.Sprintf("%d entries, %d bytes of %d", len(list), unpacked, packed))
	}
}

// overlap finds entries that share bytes.
func (x *inspection) overlap(list []entry) {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b entry) int { return cmp.Compare(a.header, b.header) })
	for i := 1; i < len(sorted); i++ {
		if e := sorted[i-1]; e.data > 0 && e.flags&flagDescriptor == 0 && e.data+min(e.packed, 1<<40) > sorted[i].header || e.header == sorted[i].header {
			x.tell(ruleZipOverlap, sorted[i].name)
			return
		}
	}
}

// inflate unpacks the entries' beginnings, as far as the budget goes: an archive may lie about
// sizes, and a program may be called anything.
func (x *inspection) inflate(b []byte, list []entry) {
	var r io.ReadCloser
	for _, e := range list {
		if e.data == 0 || e.data >= uint64(len(b)) || e.flags&flagEncrypted != 0 {
			continue
		}
		data := b[e.data:]
		cut := true
		if e.packed > 0 || e.flags&flagDescriptor == 0 {
			data = data[:min(e.packed, uint64(len(data)))]
			cut = uint64(len(data)) < e.packed
		}
		switch e.method {
		case methodStored:
			if e.packed != e.unpacked {
				x.tell(ruleZipBomb, e.name)
			}
			x.started(&e, data)
		case methodDeflate:
			source := bytes.NewReader(data)
			if r == nil {
				r = flate.NewReader(source)
			} else if err := r.(flate.Resetter).Reset(source, nil); err != nil {
				return
			}
			x.unpack(&e, r, source, cut)
		}
		if x.budget <= 0 {
			return
		}
	}
}

// unpack reads an entry to the size that it says, and a byte beyond. cut says that its data may
// end early or go on with what is not its own.
func (x *inspection) unpack(e *entry, r io.Reader, source *bytes.Reader, cut bool) {
	length := source.Len()
	want := min(e.unpacked, 1<<40) + 1
	if e.flags&flagDescriptor != 0 && e.unpacked == 0 { // not known
		want = uint64(x.budget)
	}
	var start [512]byte
	n, err := io.ReadFull(r, start[:min(want, uint64(len(start)))])
	x.started(e, start[:n])
	total := int64(n)
	if err == nil {
		var more int64
		more, err = io.Copy(io.Discard, io.LimitReader(r, int64(min(want-uint64(n), uint64(x.budget)))))
		total += more
	}
	x.budget -= int(total)
	used := int64(length - source.Len())
	switch {
	case uint64(total) == want && want > e.unpacked && e.flags&flagDescriptor == 0,
		total >= ratioFrom && total > MaxRatio*used:
		x.tell(ruleZipBomb, fmt.Sprintf("%d bytes or more of %d: %s", total, used, e.name))
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !cut:
		x.tell(ruleZipMalformed, e.name)
	}
}

// started looks at the first bytes of an entry.
func (x *inspection) started(e *entry, start []byte) {
	switch sniff(start[:min(len(start), 512)], true) {
	case kindProgram:
		x.tell(ruleZipProgram, e.name)
	case kindZip, kindGzip:
		x.tell(ruleZipNested, e.name)
	default:
		if foldPrefix(start, "<?php") {
			x.tell(ruleZipProgram, e.name)
		}
	}
}
