package catalog

import (
	"bytes"
	"encoding/binary"
)

// ImageHeader is what the first bytes of an image file say.
type ImageHeader struct {
	ContentType   string // image/png, image/jpeg, image/gif, image/webp or image/avif
	Width, Height int    // in pixels; 0 if head does not reach so far
}

// ReadImageHeader recognises an image by its first bytes and reads its width and height.
// ok is false if it is none of the accepted formats. It allocates nothing and reads
// nothing beyond head, whatever lengths head claims.
func ReadImageHeader(head []byte) (h ImageHeader, ok bool) {
	switch {
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		// The first chunk is IHDR, with the measures at its beginning.
		h = ImageHeader{ContentType: "image/png"}
		if len(head) >= 24 && string(head[12:16]) == "IHDR" {
			h.Width, h.Height = big32(head[16:]), big32(head[20:])
		}
	case bytes.HasPrefix(head, []byte("GIF87a")), bytes.HasPrefix(head, []byte("GIF89a")):
		h = ImageHeader{ContentType: "image/gif"}
		if len(head) >= 10 {
			h.Width, h.Height = little16(head[6:]), little16(head[8:])
		}
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		h.ContentType = "image/jpeg"
		h.Width, h.Height = jpegSize(head)
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		h.ContentType = "image/webp"
		h.Width, h.Height = webpSize(head[12:])
	case len(head) >= 16 && string(head[4:8]) == "ftyp" && avifBrand(head):
		h.ContentType = "image/avif"
		h.Width, h.Height = avifSize(head)
	default:
		return ImageHeader{}, false
	}
	return h, true
}

func big32(b []byte) int    { return int(binary.BigEndian.Uint32(b) & 0x7fffffff) }
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
		case marker >= 0xd0 && marker <= 0xd9 || marker == 0x01: // without a length
			i += 2
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

// avifBrand looks for a brand of AVIF in the file type box (ISO/IEC 14496-12, 4.3).
func avifBrand(b []byte) bool {
	box := b[:min(max(big32(b), 16), len(b))]
	for i := 8; i+4 <= len(box); i += 4 {
		if brand := string(box[i : i+4]); i != 12 && (brand == "avif" || brand == "avis") { // 12 is the version
			return true
		}
	}
	return false
}

// avifSize finds the largest of the image's spatial extents (ISO/IEC 23008-12, 6.5.3). A file
// holds one for each item, tiles and transparency too. They are found by name rather than by walking
// the boxes: what is found by chance only makes the image larger, which is the safe side.
func avifSize(b []byte) (width, height int) {
	for {
		i := bytes.Index(b, []byte("ispe"))
		if i < 0 || i+16 > len(b) {
			return width, height
		}
		if w, h := big32(b[i+8:]), big32(b[i+12:]); int64(w)*int64(h) > int64(width)*int64(height) {
			width, height = w, h
		}
		b = b[i+4:]
	}
}
