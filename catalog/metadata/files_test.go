package metadata_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"
)

// secret stands wherever nothing may be left.
const secret = "48.8584N,2.2945E"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// photo has pixels without order, with transparent ones among them.
func photo() image.Image {
	r := rand.New(rand.NewPCG(1, 2))
	img := image.NewNRGBA(image.Rect(0, 0, 48, 20))
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint32())
	}
	return img
}

func jpegFile(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, jpeg.Encode(&b, photo(), nil))
	return b.Bytes()
}

func pngFile(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, png.Encode(&b, photo()))
	return b.Bytes()
}

// gifFile is an animation that runs for ever.
func gifFile(t testing.TB) []byte {
	t.Helper()
	g := &gif.GIF{}
	for i := range 3 {
		img := image.NewPaletted(image.Rect(0, 0, 48, 20), color.Palette{color.Transparent, color.White, color.Black})
		for j := range img.Pix {
			img.Pix[j] = byte((i + j) % 3)
		}
		g.Image, g.Delay, g.Disposal = append(g.Image, img), append(g.Delay, 4), append(g.Disposal, gif.DisposalBackground)
	}
	var b bytes.Buffer
	must(t, gif.EncodeAll(&b, g))
	return b.Bytes()
}

// segment is one of a JPEG.
func segment(marker byte, data string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(data)+2)), data...)
}

// app is a segment for applications.
func app(n byte, data string) []byte { return segment(0xe0+n, data) }

// chunk is one of a PNG.
func chunk(name, data string) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), name+data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// extension is one of a GIF; blocks are at most 255 bytes each.
func extension(label byte, blocks ...string) []byte {
	b := []byte{0x21, label}
	for _, s := range blocks {
		b = append(append(b, byte(len(s))), s...)
	}
	return append(b, 0)
}

// piece is a chunk of a WebP.
func piece(name, data string) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data))), data...)
	return append(b, make([]byte, len(data)&1)...)
}

func webp(pieces ...[]byte) []byte {
	body := bytes.Join(pieces, nil)
	return append(append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+4)), "WEBP"...), body...)
}

// lossless is 48 by 20 pixels of one colour as VP8L has them (RFC 9649, 3.4 to 3.7): no transform, no
// cache, and five codes of a single symbol, so that pixels take no bits.
func lossless() string {
	var bits uint64
	n := 0
	put := func(value uint64, width int) {
		bits |= value << n
		n += width
	}
	put(0, 3)
	for _, symbol := range []uint64{0x40, 0x80, 0xc0, 0xff, 0} { // green, red, blue, alpha, distance
		put(0b101, 3) // simple, one symbol, of eight bits
		put(symbol, 8)
	}
	head := binary.LittleEndian.AppendUint32([]byte{0x2f}, 47|19<<14|1<<28)
	return string(binary.LittleEndian.AppendUint64(head, bits))
}

// measures is the header of an extended WebP of 48 by 20 pixels.
func measures(flags byte) []byte {
	return piece("VP8X", string([]byte{flags, 0, 0, 0, 47, 0, 0, 19, 0, 0}))
}

// frame is one of a WebP's animation.
func frame(pieces ...[]byte) []byte {
	return piece("ANMF", "\x00\x00\x00\x00\x00\x00\x2f\x00\x00\x13\x00\x00\x64\x00\x00\x00"+string(bytes.Join(pieces, nil)))
}

// block is what a camera writes as Exif: orientation, position, serial number, and a preview.
func block(order binary.AppendByteOrder, orientation uint16) string {
	b := []byte("II*\x00")
	if order.String() == "BigEndian" {
		b = []byte("MM\x00*")
	}
	entry := func(tag, kind uint16, count, value uint32) {
		b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, tag), kind), count)
		if kind == 3 {
			b = order.AppendUint16(order.AppendUint16(b, uint16(value)), 0)
			return
		}
		b = order.AppendUint32(b, value)
	}
	b = order.AppendUint16(order.AppendUint32(b, 8), 4)
	entry(0x010f, 2, uint32(len(secret)), 100) // the maker
	entry(0x0112, 3, 1, uint32(orientation))
	entry(0x8769, 4, 1, 62)
	entry(0x8825, 4, 1, 100)
	b = order.AppendUint32(b, 80) // the directory of the preview
	b = order.AppendUint16(b, 1)
	entry(0xa431, 2, 4, 0)
	b = append(b, make([]byte, 100-len(b))...)
	return string(b) + strings.Repeat(secret, 3)
}

// profile is long enough to need several sub-blocks and does not compress.
func profile() string {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 600)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// insert puts parts into a file.
func insert(file []byte, at int, parts ...[]byte) []byte {
	return bytes.Join([][]byte{file[:at], bytes.Join(parts, nil), file[at:]}, nil)
}
