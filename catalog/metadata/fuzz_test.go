package metadata_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog/metadata"
)

// growth is by how much a block of the orientation alone can be longer than one it replaces: by
// the reference to the following directory, where that was cut off.
const growth = 4

func FuzzStrip(f *testing.F) {
	all := samples(f)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f.Add(all[name].dirty)
	}
	f.Fuzz(checkStrip)
}

// FuzzStrip_Chunks puts PNGs together, since no chance finds a right checksum. A byte chooses the name of a
// chunk, the next the length of its data.
func FuzzStrip_Chunks(f *testing.F) {
	names := []string{"IHDR", "PLTE", "IDAT", "IEND", "gAMA", "iCCP", "tRNS", "acTL", "fcTL", "fdAT", "eXIf", "tEXt", "iTXt", "tIME", "teSt", "TEST"}
	f.Add([]byte("\x00\x0d0123456789abc\x02\x01a\x0b\x03a\x00b\x0a\x1a" + upright(6) + "\x03\x00"))
	f.Add([]byte("\x00\x0d0123456789abc\x0a\x94" + block(binary.LittleEndian, 6)[:148] + "\x0a\x00\x02\x00\x07\x08abcdefgh\x03\x00"))
	f.Fuzz(func(t *testing.T, script []byte) {
		file := []byte("\x89PNG\r\n\x1a\n")
		for len(script) > 1 {
			n := min(int(script[1]), len(script)-2)
			file = append(file, chunk(names[int(script[0])%len(names)], string(script[2:2+n]))...)
			script = script[2+n:]
		}
		checkStrip(t, file)
	})
}

func checkStrip(t *testing.T, file []byte) {
	before := bytes.Clone(file)
	var out bytes.Buffer
	report, err := metadata.Strip(&out, bytes.NewReader(file), metadata.Limits{Bytes: 1 << 20})
	if !bytes.Equal(before, file) {
		t.Fatal("the file was changed")
	}
	if err != nil {
		if code := makerguard.CodeOf(err); code != makerguard.ValidationFailed && code != makerguard.UnsupportedMediaType && code != makerguard.PayloadTooLarge {
			t.Fatalf("%v, want the caller told what is wrong", err)
		}
		return
	}
	if out.Len() > len(file)+growth || report.After != int64(out.Len()) || report.Before != int64(len(file)) {
		t.Fatalf("%+v of %d bytes became %d", report, len(file), out.Len())
	}
	if same := bytes.Equal(out.Bytes(), file); same != (len(report.Removed) == 0) {
		t.Fatalf("the same bytes: %v, removed: %v", same, report.Removed)
	}
	again, err := metadata.Strip(io.Discard, bytes.NewReader(out.Bytes()), metadata.Limits{})
	if err != nil || len(again.Removed) > 0 {
		t.Fatalf("the result, stripped again: removed %v, %v", again.Removed, err)
	}
}
