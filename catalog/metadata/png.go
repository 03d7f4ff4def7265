package metadata

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// pngSize is how long the data of a kept chunk may be; times says how often it may occur, 0 for any.
type pngSize struct {
	least, most int64
	once        bool
}

const noEnd = 1<<31 - 1 // of a chunk's length (PNG 5.3)

// pngKept are the chunks that make up the pixels or change how they look (PNG 11.2 and 11.3).
// One of another length is one that readers ignore.
var pngKept = map[string]pngSize{
	"IHDR": {13, 13, true}, "PLTE": {3, 768, true}, "IDAT": {0, noEnd, false}, "IEND": {0, 0, true},
	"gAMA": {4, 4, true}, "cHRM": {32, 32, true}, "sRGB": {1, 1, true}, "iCCP": {4, noEnd, true}, "cICP": {4, 4, true},
	"mDCV": {24, 24, true}, "cLLI": {8, 8, true},
	"sBIT": {1, 4, true}, "tRNS": {1, 256, true}, "bKGD": {1, 6, true}, "pHYs": {9, 9, true},
	"acTL": {8, 8, true}, "fcTL": {26, 26, false}, "fdAT": {4, noEnd, false},
}

// pngFile is what has been seen of a PNG.
type pngFile struct {
	*file
	seen map[string]bool
}

// png copies the chunks of a PNG.
func (f *file) png() error {
	if err := f.copy(8); err != nil {
		return err
	}
	p := &pngFile{file: f, seen: map[string]bool{}}
	for !p.seen["IEND"] {
		if err := p.chunk(); err != nil {
			return err
		}
	}
	if !p.seen["IDAT"] {
		return malformed("the PNG has no pixels")
	}
	return nil
}

// chunk copies or drops the next one.
func (p *pngFile) chunk() error {
	at := p.at
	b, err := p.next(8)
	if err != nil {
		return err
	}
	head := [8]byte(b)
	length, name := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
	switch {
	case length > noEnd || strings.ContainsFunc(name, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' }):
		return malformed("there is no chunk at byte %d of the PNG", at)
	case !p.seen["IHDR"] && name != "IHDR":
		return malformed("the PNG does not begin with its header")
	}
	keep, err := p.keeps(name, length)
	if err != nil {
		return err
	}
	var kept []byte // instead of the chunk
	if !keep {
		if kept, err = p.drop(name, length); err != nil {
			return err
		}
	} else if err := p.write(head[:]); err != nil {
		return err
	}
	sum := crc32.ChecksumIEEE(head[4:])
	err = p.each(length, func(b []byte) error {
		sum = crc32.Update(sum, crc32.IEEETable, b)
		if !keep {
			return nil
		}
		return p.write(b)
	})
	if err != nil {
		return err
	}
	stored, err := p.next(4)
	switch {
	case err != nil:
		return err
	case binary.BigEndian.Uint32(stored) != sum:
		return malformed("the chunk %s at byte %d of the PNG has a wrong checksum", name, at)
	case keep:
		return p.write(stored)
	case kept != nil:
		return p.write(pngChunk("eXIf", kept))
	}
	return nil
}

// keeps reports whether a chunk is kept.
func (p *pngFile) keeps(name string, length int64) (bool, error) {
	critical := name[0]&0x20 == 0
	size, known := pngKept[name]
	fits := known && length >= size.least && length <= size.most && (!size.once || !p.seen[name])
	switch name {
	case "fcTL", "fdAT": // of an animation, which is announced before the pixels
		fits = fits && p.seen["acTL"]
	case "acTL":
		fits = fits && !p.seen["IDAT"]
	}
	switch {
	case critical && !known:
		return false, malformed("the PNG has the chunk %s, which cannot be left out and is not known", name)
	case critical && !fits:
		return false, malformed("the chunk %s of the PNG is of a wrong length or there twice", name)
	}
	p.seen[name] = p.seen[name] || fits
	return fits, nil
}

// drop notes what a chunk tells, and gives the Exif that is kept of it.
func (p *pngFile) drop(name string, length int64) (exif []byte, err error) {
	b, err := p.head(int(min(length, window)))
	if err != nil {
		return nil, err
	}
	switch name {
	case "eXIf":
		first := !p.seen[name]
		p.seen[name] = true
		return p.exif(b, first), nil
	case "tIME":
		p.remove(Time)
	case "fcTL", "fdAT":
		p.remove(Images)
	case "tEXt", "zTXt", "iTXt":
		keyword, _, _ := bytes.Cut(b[:min(len(b), 80)], []byte{0})
		switch string(keyword) {
		case "XML:com.adobe.xmp", "Raw profile type xmp":
			p.xmp(b)
		case "Raw profile type exif", "Raw profile type APP1":
			p.remove(Exif)
		case "Raw profile type iptc", "Raw profile type 8bim":
			p.remove(IPTC)
		case "Comment":
			p.remove(Comment)
		default:
			p.remove(Text)
		}
	default:
		p.remove(Application)
	}
	return nil, nil
}

func pngChunk(name string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, name...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}
