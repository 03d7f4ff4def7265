package upload

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/imagefile"
)

// What an image may ask of whoever decodes it.
const (
	MaxPixels      = 50_000_000  // of one image or frame
	MaxSide        = 20_000      // of its width and its height
	MaxFrames      = 2_000       // of an animation
	MaxFramePixels = 500_000_000 // of all frames of an animation
)

var (
	rulePixels    = &rule{"upload.image.pixels", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "The image has more than 50 million pixels or a side of more than 20,000, to exhaust whoever decodes it."}
	ruleFrames    = &rule{"upload.image.frames", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "The animation has more than 2,000 frames or 500 million pixels in all, to exhaust whoever decodes it."}
	ruleMeasures  = &rule{"upload.image.measures", makerguard.MalformedInput, makerguard.SeverityMedium, certain, "The image does not say how large it is where the format has it, or is of no pixels."}
	ruleImageText = &rule{"upload.image.text", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "Compressed texts or profiles of the image grow beyond 4 MiB."}
)

// image inspects the measures of an image and of its frames.
func (x *inspection) image() {
	b := x.file.Content
	h, _ := imagefile.Read(b)
	switch {
	case h.Width <= 0 || h.Height <= 0:
		if !x.file.Truncated || len(b) > maxHead {
			x.say(ruleMeasures, 0, len(b))
		}
	case tooLarge(h.Width, h.Height):
		x.tell(rulePixels, fmt.Sprintf("%d x %d", h.Width, h.Height))
	}
	var f frames
	switch h.ContentType {
	case imagefile.GIF:
		f = gifFrames(b)
	case imagefile.WebP:
		f = webpFrames(b)
	case imagefile.PNG:
		x.pngTexts(b)
		f = pngFrames(b, h)
	}
	if tooLarge(f.width, f.height) {
		x.tell(rulePixels, fmt.Sprintf("%d x %d", f.width, f.height))
	}
	if f.count > MaxFrames || f.count > 1 && f.pixels > MaxFramePixels {
		x.tell(ruleFrames, fmt.Sprintf("%d frames, %d pixels", f.count, f.pixels))
	}
}

// maxHead is what cameras and editors put before an image's measures at most.
const maxHead = 512 << 10

func tooLarge(width, height int) bool {
	return width > MaxSide || height > MaxSide || int64(width)*int64(height) > MaxPixels
}

// frames is what an animation adds up to.
type frames struct {
	count         int
	pixels        int64
	width, height int // of the largest frame
	end           int // of the image in its file; 0 if that was not reached
}

func (f *frames) add(width, height int) {
	f.count++
	f.pixels += min(int64(width)*int64(height), 1<<40) // so that the sum stays a number
	if int64(width)*int64(height) > int64(f.width)*int64(f.height) {
		f.width, f.height = width, height
	}
}

// gifFrames walks the blocks of a GIF (GIF89a, sections 18 to 27). Each frame has measures of
// its own.
func gifFrames(b []byte) (f frames) {
	if len(b) < 13 {
		return f
	}
	i := 13 + colours(b[10])
	for i < len(b) {
		switch b[i] {
		case 0x2c: // a frame
			if i+10 > len(b) {
				return f
			}
			f.add(int(binary.LittleEndian.Uint16(b[i+5:])), int(binary.LittleEndian.Uint16(b[i+7:])))
			i = blocks(b, i+11+colours(b[i+9]))
		case 0x21: // an extension
			i = blocks(b, i+2)
		case 0x3b:
			f.end = i + 1
			return f
		default:
			return f
		}
	}
	return f
}

// colours is the length of the colour table that a byte of flags announces.
func colours(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// blocks steps over a chain of sub-blocks.
func blocks(b []byte, i int) int {
	for i < len(b) && b[i] != 0 {
		i += 1 + int(b[i])
	}
	return i + 1
}

// webpFrames walks the chunks of a WebP file (RFC 9649, 2.3 and 2.7.1).
func webpFrames(b []byte) (f frames) {
	if size := int64(binary.LittleEndian.Uint32(b[4:])) + 8; size <= int64(len(b)) && size > 12 {
		f.end = int(size)
	}
	for i := 12; i+8 <= len(b); {
		if string(b[i:i+4]) == "ANMF" && i+8+12 <= len(b) {
			f.add(three(b[i+14:])+1, three(b[i+17:])+1)
		}
		i += 8 + even(binary.LittleEndian.Uint32(b[i+4:]), len(b))
	}
	return f
}

func three(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// even is a chunk's length with its padding; what is beyond the limit is the limit.
func even(n uint32, limit int) int {
	return int(min(int64(n)+int64(n&1), int64(limit)))
}

// chunks calls visit with the chunks of a PNG, and gives the end of the last (PNG 5.3).
func chunks(b []byte, visit func(name string, data []byte)) (end int) {
	for i := 8; i+12 <= len(b); {
		n := int64(binary.BigEndian.Uint32(b[i:]))
		name := string(b[i+4 : i+8])
		visit(name, b[i+8:min(int64(i)+8+n, int64(len(b)))])
		next := int64(i) + 12 + n
		if next > int64(len(b)) {
			return 0
		}
		if i = int(next); name == "IEND" {
			return i
		}
	}
	return 0
}

// pngFrames reads how many frames an animated PNG announces, and their measures (PNG 3, 11.3.6).
func pngFrames(b []byte, h imagefile.Header) (f frames) {
	announced := 0
	f.end = chunks(b, func(name string, data []byte) {
		switch {
		case name == "acTL" && len(data) >= 4:
			announced = int(binary.BigEndian.Uint32(data) & 0x7fffffff)
		case name == "fcTL" && len(data) >= 12:
			f.add(int(binary.BigEndian.Uint32(data[4:])&0x7fffffff), int(binary.BigEndian.Uint32(data[8:])&0x7fffffff))
		}
	})
	if announced > f.count {
		f.pixels += int64(min(announced-f.count, 1<<20)) * min(h.Pixels(), 1<<40)
		f.count = announced
	}
	return f
}

// maxInflated is how many bytes are unpacked of a file to see whether it is a bomb.
const maxInflated = 4 << 20

// pngTexts unpacks compressed texts and colour profiles as far as the budget goes (PNG 11.3.3).
func (x *inspection) pngTexts(b []byte) {
	chunks(b, func(name string, data []byte) {
		skip := 1 // the method of compression
		switch name {
		case "zTXt", "iCCP":
		case "iTXt":
			skip = 2 // whether it is compressed, in front of the method
		default:
			return
		}
		i := bytes.IndexByte(data, 0)
		if i < 0 || len(data) < i+1+skip || name == "iTXt" && data[i+1] == 0 {
			return
		}
		data = data[i+1+skip:]
		if name == "iTXt" { // language and translated keyword
			for range 2 {
				i := bytes.IndexByte(data, 0)
				if i < 0 {
					return
				}
				data = data[i+1:]
			}
		}
		r, err := zlib.NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		n, _ := io.Copy(io.Discard, io.LimitReader(r, int64(x.budget))) // what is broken ends there
		if x.budget -= int(n); x.budget <= 0 {
			x.tell(ruleImageText, name)
		}
	})
}
