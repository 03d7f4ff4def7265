package metadata

import (
	"bytes"
	"encoding/binary"
	"math"
)

// The flags of an extended WebP (RFC 9649, 2.7.1).
const (
	webpICC       = 0x20
	webpAlpha     = 0x10
	webpExif      = 0x08
	webpAnimation = 0x02
)

// webpFile is what has been seen of a WebP. Its length stands at its beginning and those of its
// frames at theirs, so the result is held until they are known.
type webpFile struct {
	*file
	body  bytes.Buffer
	flags byte // as the file has them; 0 if it is a simple one
	seen  map[string]bool
	image bool // or a frame of one
	exifs int
	turns bool // an orientation is kept
}

// webp copies the chunks of a WebP.
func (f *file) webp() error {
	head, err := f.next(12)
	if err != nil {
		return err
	}
	size := int64(binary.LittleEndian.Uint32(head[4:]))
	if size < 4 || size > math.MaxUint32-10 {
		return malformed("the WebP has a wrong length")
	}
	w := &webpFile{file: f, seen: map[string]bool{}}
	if err := w.chunks(size-4, w.chunk); err != nil {
		return err
	}
	if !w.image {
		return malformed("the WebP has no pixels")
	}
	w.setFlags()
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(w.body.Len()+4))
	if err := f.write(append(b, "WEBP"...)); err != nil {
		return err
	}
	return f.write(w.body.Bytes())
}

// setFlags has the flags tell what is left.
func (w *webpFile) setFlags() {
	if !w.seen["VP8X"] {
		return
	}
	flags := w.flags & (webpAlpha | webpAnimation)
	if w.seen["ICCP"] {
		flags |= webpICC
	}
	if w.turns {
		flags |= webpExif
	}
	if flags != w.flags && len(w.removed) == 0 {
		w.remove(Application) // flags of what was not there
	}
	w.body.Bytes()[8] = flags
}

// chunks hands the next n bytes to use, a chunk at a time: its name, and its length without what
// makes it even. use has to read it, and not what makes it even.
func (w *webpFile) chunks(n int64, use func(name string, length int64) error) error {
	for n >= 8 {
		b, err := w.next(8)
		if err != nil {
			return err
		}
		name, length := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		if n -= 8 + length + length&1; n < 0 {
			return malformed("the chunk at byte %d of the WebP is longer than what it stands in", w.at-8)
		}
		if err := use(name, length); err != nil {
			return err
		}
		if length&1 == 0 {
			continue
		}
		b, err = w.next(1)
		if err != nil {
			return err
		}
		if b[0] != 0 {
			w.remove(Padding)
		}
	}
	if n > 0 { // less than a chunk
		w.remove(Padding)
	}
	return w.skip(n)
}

// chunk copies or drops one of the file.
func (w *webpFile) chunk(name string, length int64) error {
	extended, animated := w.seen["VP8X"], w.flags&webpAnimation != 0
	first := !w.seen[name]
	switch {
	case w.body.Len() == 0 && name == "VP8X":
		return w.header(length)
	case !extended && w.image:
		return w.drop(name, length) // a simple file is one chunk
	case name == "VP8 " || name == "VP8L":
		if !animated && !w.image {
			w.image = true
			return w.keep(name, length)
		}
	case !extended:
		return malformed("the WebP does not begin with an image or its measures")
	case name == "ALPH" && !animated && first && !w.image, name == "ANIM" && animated && first,
		name == "ICCP" && w.flags&webpICC != 0 && first:
		w.seen[name] = true
		return w.keep(name, length)
	case name == "ANMF" && animated:
		w.image = true
		return w.frame(length)
	case name == "EXIF":
		return w.exifChunk(length)
	}
	return w.drop(name, length)
}

// header reads the measures and flags of an extended file.
func (w *webpFile) header(length int64) error {
	if length < 10 {
		return malformed("the header of the WebP is too short")
	}
	b, err := w.next(10)
	if err != nil {
		return err
	}
	w.seen["VP8X"], w.flags = true, b[0]
	w.begin("VP8X", 10)
	w.body.Write([]byte{b[0], 0, 0, 0})
	w.body.Write(b[4:])
	if length > 10 || b[1] != 0 || b[2] != 0 || b[3] != 0 {
		w.remove(Application)
	}
	return w.skip(length - 10)
}

// frame copies one of an animation: where it stands, and its pixels (2.7.1.1).
func (w *webpFile) frame(length int64) error {
	if length < 16 {
		return malformed("the frame at byte %d of the WebP is too short", w.at-8)
	}
	at := w.begin("ANMF", 0)
	if err := w.hold(16); err != nil {
		return err
	}
	image, alpha := false, false
	err := w.chunks(length-16, func(name string, length int64) error {
		switch {
		case (name == "VP8 " || name == "VP8L") && !image:
			image = true
			return w.keep(name, length)
		case name == "ALPH" && !image && !alpha:
			alpha = true
			return w.keep(name, length)
		}
		return w.drop(name, length)
	})
	if err != nil {
		return err
	}
	if !image {
		return malformed("a frame of the WebP has no pixels")
	}
	b := w.body.Bytes()[at:]
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return nil
}

// exifChunk keeps the orientation.
func (w *webpFile) exifChunk(length int64) error {
	b, err := w.head(int(min(length, window)))
	if err != nil {
		return err
	}
	w.exifs++
	block, marked := bytes.CutPrefix(b, []byte(exifMark))
	kept := w.exif(block, w.exifs == 1 && w.flags&webpExif != 0)
	if kept != nil {
		if marked {
			w.remove(Exif) // in the form that not all readers know
		}
		w.turns = true
		w.begin("EXIF", len(kept))
		w.body.Write(kept)
	}
	return w.skip(length)
}

// begin starts a chunk and gives its place.
func (w *webpFile) begin(name string, length int) (at int) {
	at = w.body.Len()
	w.body.Write(binary.LittleEndian.AppendUint32([]byte(name), uint32(length)))
	return at
}

// keep holds a chunk.
func (w *webpFile) keep(name string, length int64) error {
	w.begin(name, int(length))
	if err := w.hold(length); err != nil {
		return err
	}
	if length&1 == 1 {
		w.body.WriteByte(0)
	}
	return nil
}

// hold puts the next n bytes into the result.
func (w *webpFile) hold(n int64) error {
	return w.each(n, func(b []byte) error {
		w.body.Write(b)
		return nil
	})
}

// drop notes what a chunk is and leaves it out.
func (w *webpFile) drop(name string, length int64) error {
	switch name {
	case "EXIF":
		w.remove(Exif)
	case "XMP ":
		b, err := w.head(int(min(length, window)))
		if err != nil {
			return err
		}
		w.xmp(b)
	case "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF":
		w.remove(Images)
	default:
		w.remove(Application)
	}
	return w.skip(length)
}
