// Package imagefile recognises image files by their first bytes and reads their measures,
// without decoding anything. It is for deciding whether an image may be decoded, so where a
// file says two things it takes the larger.
//
// It allocates nothing, takes time linear in what it is given, and reads nothing beyond
// that, whatever lengths a file claims.
//
//	h, ok := imagefile.Read(head)
package imagefile

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Header is what the first bytes of an image file say.
type Header struct {
	ContentType   string // one of the constants of this package
	Width, Height int    // in pixels; 0 if head does not reach so far
}

// Pixels is width times height.
func (h Header) Pixels() int64 { return int64(h.Width) * int64(h.Height) }

// The content types that Read recognises.
const (
	PNG  = "image/png"
	JPEG = "image/jpeg"
	GIF  = "image/gif"
	WebP = "image/webp"
	AVIF = "image/avif"
	HEIC = "image/heic"
	BMP  = "image/bmp"
	TIFF = "image/tiff"
)

// Read recognises an image by its first bytes and reads its width and height; false if it is none
// of the formats named here. Of a file with several images, such as tiles or pages, it gives the
// largest that head reaches.
func Read(head []byte) (h Header, ok bool) {
	switch {
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		h.ContentType = PNG
		if len(head) >= 24 && string(head[12:16]) == "IHDR" { // the first chunk (PNG 11.2.1)
			h.Width, h.Height = big32(head[16:]), big32(head[20:])
		}
	case bytes.HasPrefix(head, []byte("GIF87a")), bytes.HasPrefix(head, []byte("GIF89a")):
		h.ContentType = GIF
		if len(head) >= 10 {
			h.Width, h.Height = little16(head[6:]), little16(head[8:])
		}
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		h.ContentType = JPEG
		h.Width, h.Height = jpegSize(head)
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		h.ContentType = WebP
		h.Width, h.Height = webpSize(head[12:])
	case len(head) >= 16 && string(head[4:8]) == "ftyp":
		if h.ContentType = brand(head); h.ContentType != "" {
			h.Width, h.Height = extents(head)
		}
	case bytes.HasPrefix(head, []byte("II*\x00")), bytes.HasPrefix(head, []byte("II+\x00")):
		h.ContentType = TIFF
		h.Width, h.Height = tiffSize(head, binary.LittleEndian)
	case bytes.HasPrefix(head, []byte("MM\x00*")), bytes.HasPrefix(head, []byte("MM\x00+")):
		h.ContentType = TIFF
		h.Width, h.Height = tiffSize(head, binary.BigEndian)
	case bytes.HasPrefix(head, []byte("BM")):
		h = bmp(head)
	}
	return h, h.ContentType != ""
}

// whole is an unsigned number as int; what an int of 32 bits does not hold is its largest.
func whole(v uint32) int { return int(min(v, math.MaxInt32)) }

func big32(b []byte) int    { return whole(binary.BigEndian.Uint32(b)) }
func big16(b []byte) int    { return int(binary.BigEndian.Uint16(b)) }
func little16(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }
func little24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// jpegSize walks the segments of a JPEG to its frame header (ITU-T T.81, annex B).
func jpegSize(b []byte) (width, height int) {
	for i := 2; i+4 <= len(b); {
		if b[i] != 0xff {
			return 0, 0
		}
		marker := b[i+1]
		switch {
		case marker == 0xff: // filling
			i++
		case marker >= 0xd0 && marker <= 0xd8 || marker == 0x01: // without a length
			i += 2
		case marker == 0xd9 || marker == 0xda: // the end, or pixels before any frame
			return 0, 0
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			if i+9 > len(b) {
				return 0, 0
			}
			return big16(b[i+7:]), big16(b[i+5:])
		default:
			length := big16(b[i+2:])
			if length < 2 {
				return 0, 0
			}
			i += 2 + length
		}
	}
	return 0, 0
}

// webpSize reads the first chunk of a WebP file: of the lossy, the lossless or the extended
// format (RFC 9649, 2.5 to 2.7).
func webpSize(b []byte) (width, height int) {
	if len(b) < 18 {
		return 0, 0
	}
	switch data := b[8:]; string(b[:4]) {
	case "VP8 ":
		if string(data[3:6]) == "\x9d\x01\x2a" {
			return little16(data[6:]) & 0x3fff, little16(data[8:]) & 0x3fff
		}
	case "VP8L":
		if data[0] == 0x2f {
			bits := binary.LittleEndian.Uint32(data[1:])
			return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
		}
	case "VP8X":
		return little24(data[4:]) + 1, little24(data[7:]) + 1
	}
	return 0, 0
}

// maxBrands bounds the brands looked at: files have up to a dozen.
const maxBrands = 64

// brand tells AVIF and HEIC by the brands in the file type box (ISO/IEC 14496-12, 4.3); ""
// for the others, videos mostly.
func brand(b []byte) string {
	size := binary.BigEndian.Uint32(b)
	box := b[:min(max(int64(size), 16), int64(len(b)), 16+4*maxBrands)]
	found := ""
	for i := 8; i+4 <= len(box); i += 4 {
		if i == 12 { // the version
			continue
		}
		switch string(box[i : i+4]) {
		case "avif", "avis":
			return AVIF
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs":
			found = HEIC
		}
	}
	return found
}

// extents finds the largest of an image's spatial extents (ISO/IEC 23008-12, 6.5.3). A file
// holds one for each item, tiles and transparency too. They are found by name rather than by walking
// the boxes: what is found by chance only makes the image larger, which is the safe side.
func extents(b []byte) (width, height int) {
	for {
		i := bytes.Index(b, []byte("ispe"))
		if i < 0 || i+16 > len(b) {
			return width, height
		}
		width, height = larger(width, height, big32(b[i+8:]), big32(b[i+12:]))
		b = b[i+4:]
	}
}

func larger(w1, h1, w2, h2 int) (width, height int) {
	if int64(w2)*int64(h2) > int64(w1)*int64(h1) {
		return w2, h2
	}
	return w1, h1
}

// What is followed of a TIFF. Its directories form a list that may run in a circle; real ones have
// fewer than a hundred entries, and the measures are among the first.
const (
	maxPages   = 64
	maxEntries = 1024
)

// tiffSize reads the measures of the pages of a TIFF (TIFF 6.0, section 2), or of a BigTIFF.
func tiffSize(b []byte, order binary.ByteOrder) (width, height int) {
	wide := order.Uint16(b[2:]) == 43
	at := offset(b, 4, order, false)
	if wide {
		at = offset(b, 8, order, true)
	}
	for range maxPages {
		w, h, next := tiffPage(b, at, order, wide)
		width, height = larger(width, height, w, h)
		if next == 0 {
			break
		}
		at = next
	}
	return width, height
}

// tiffPage reads one directory; next is where the following one stands, 0 if nowhere.
func tiffPage(b []byte, at int, order binary.ByteOrder, wide bool) (width, height, next int) {
	head, entry, value := 2, 12, 8 // bytes of the count and of an entry; where its value stands in it
	if wide {
		head, entry, value = 8, 20, 12
	}
	if at < 8 || at > len(b)-head {
		return 0, 0, 0
	}
	n := int(order.Uint16(b[at:]))
	if wide {
		n = offset(b, at, order, true)
	}
	if n > maxEntries {
		return 0, 0, 0
	}
	at += head
	for range n {
		if at > len(b)-entry {
			return width, height, 0
		}
		v := whole(order.Uint32(b[at+value:]))
		if order.Uint16(b[at+2:]) == 3 { // a short
			v = int(order.Uint16(b[at+value:]))
		} else if wide && order.Uint16(b[at+2:]) == 16 { // a long of eight bytes
			v = offset(b, at+value, order, true)
		}
		switch order.Uint16(b[at:]) {
		case 256:
			width = v
		case 257:
			height = v
		}
		at += entry
	}
	return width, height, offset(b, at, order, wide)
}

// offset reads a number of four or eight bytes at a place, as far as it fits; 0 if the place is
// outside.
func offset(b []byte, at int, order binary.ByteOrder, wide bool) int {
	switch {
	case wide && at <= len(b)-8:
		return int(min(order.Uint64(b[at:]), math.MaxInt32))
	case !wide && at <= len(b)-4:
		return whole(order.Uint32(b[at:]))
	}
	return 0
}

// bmp tells a bitmap from what only begins with the same two letters by the length of its
// header.
func bmp(b []byte) Header {
	if len(b) < 26 {
		return Header{}
	}
	switch binary.LittleEndian.Uint32(b[14:]) {
	case 12:
		return Header{BMP, little16(b[18:]), little16(b[20:])}
	case 16, 40, 52, 56, 64, 108, 124:
		return Header{BMP, magnitude(b[18:]), magnitude(b[22:])}
	}
	return Header{}
}

// magnitude reads a signed number without its sign: a negative height is an image that stands
// upright.
func magnitude(b []byte) int {
	v := int64(int32(binary.LittleEndian.Uint32(b)))
	return int(min(max(v, -v), math.MaxInt32))
}
