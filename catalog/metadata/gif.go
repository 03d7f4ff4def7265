package metadata

import "bytes"

// The blocks of a GIF (GIF89a, appendix A).
const (
	gifImage       = 0x2c
	gifExtension   = 0x21
	gifTrailer     = 0x3b
	gifControl     = 0xf9
	gifComment     = 0xfe
	gifPlainText   = 0x01
	gifApplication = 0xff
)

// gif copies the blocks of a GIF.
func (f *file) gif() error {
	head, err := f.next(13)
	if err != nil {
		return err
	}
	if err := f.write(head); err != nil {
		return err
	}
	if err := f.copy(gifColours(head[10])); err != nil {
		return err
	}
	for images := 0; ; {
		b, err := f.next(1)
		if err != nil {
			return err
		}
		switch b[0] {
		case gifImage:
			images++
			err = f.gifImage()
		case gifExtension:
			err = f.gifExtension()
		case gifTrailer:
			if images == 0 {
				return malformed("the GIF has no pixels")
			}
			return f.write([]byte{gifTrailer})
		default:
			return malformed("there is no block at byte %d of the GIF", f.at-1)
		}
		if err != nil {
			return err
		}
	}
}

// gifColours is the length of the table of colours that a byte of flags announces.
func gifColours(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// gifImage copies an image: where it stands, its colours and its pixels.
func (f *file) gifImage() error {
	b, err := f.next(9)
	if err != nil {
		return err
	}
	colours := gifColours(b[8])
	if err := f.write(append([]byte{gifImage}, b...)); err != nil {
		return err
	}
	if err := f.copy(colours + 1); err != nil { // and how wide codes are
		return err
	}
	return f.gifBlocks(f.write)
}

// gifBlocks hands the sub-blocks that come next to use, with their lengths, the last of which is 0.
func (f *file) gifBlocks(use func([]byte) error) error {
	for {
		b, err := f.ready()
		if err != nil {
			return err
		}
		size := int(b[0])
		if b, err = f.next(1 + size); err != nil {
			return err
		}
		if err := use(b); err != nil || size == 0 {
			return err
		}
	}
}

// gifExtension copies or drops an extension.
func (f *file) gifExtension() error {
	b, err := f.next(1)
	if err != nil {
		return err
	}
	switch label := b[0]; label {
	case gifControl: // how long the next image stands, and what of it is transparent
		if b, err = f.next(6); err != nil {
			return err
		}
		if b[0] != 4 || b[5] != 0 {
			return malformed("the control block at byte %d of the GIF is not as long as it says", f.at-8)
		}
		return f.write(append([]byte{gifExtension, gifControl}, b...))
	case gifApplication:
		return f.gifApplication()
	case gifComment:
		f.remove(Comment)
	case gifPlainText:
		f.remove(Text)
	default:
		f.remove(Application)
	}
	return f.gifBlocks(func([]byte) error { return nil })
}

// gifApplication copies or drops what is meant for one application: colour profiles and how
// often an animation runs are kept.
func (f *file) gifApplication() error {
	b, err := f.head(12)
	if err != nil {
		return err
	}
	name := ""
	if len(b) == 12 && b[0] == 11 {
		name = string(b[1:])
		f.skipBuffered(12)
	}
	all, loop := name == "ICCRGBG1012", name == "NETSCAPE2.0" || name == "ANIMEXTS1.0"
	switch {
	case all, loop:
	case name == "XMP DataXMP":
		f.remove(XMP)
	default:
		f.remove(Application)
	}
	written := false
	return f.gifBlocks(func(b []byte) error {
		last := len(b) == 1
		switch {
		case last && !written:
			if all || loop {
				f.remove(Application) // with nothing in it
			}
			return nil
		case last, all, loop && !written && bytes.HasPrefix(b, []byte{3, 1}):
		default:
			if loop {
				f.remove(Application)
			}
			return nil
		}
		if !written {
			written = true
			if err := f.write(append([]byte{gifExtension, gifApplication, 11}, name...)); err != nil {
				return err
			}
		}
		return f.write(b)
	})
}
