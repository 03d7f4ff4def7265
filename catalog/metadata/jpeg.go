package metadata

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The markers of a JPEG (ITU-T T.81, table B.1).
const (
	markerDHT   = 0xc4
	markerDAC   = 0xcc
	markerRST0  = 0xd0
	markerRST7  = 0xd7
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerDQT   = 0xdb
	markerDNL   = 0xdc
	markerDRI   = 0xdd
	markerAPP0  = 0xe0
	markerAPP1  = 0xe1
	markerAPP2  = 0xe2
	markerAPP13 = 0xed
	markerAPP14 = 0xee
	markerAPP15 = 0xef
	markerCOM   = 0xfe
)

// jpegFile is what has been seen of a JPEG.
type jpegFile struct {
	*file
	frames, scans int
	exifs, jfifs  int
}

// jpeg copies a JPEG: its tables, frame and scans, and of the segments for applications those
// that say how its colours are meant.
func (f *file) jpeg() error {
	soi, err := f.next(2)
	if err != nil {
		return err
	}
	if err := f.write(soi); err != nil {
		return err
	}
	j := &jpegFile{file: f}
	marker, err := j.marker()
	for err == nil && marker != markerEOI {
		if err = j.segment(marker); err != nil {
			break
		}
		if marker == markerSOS {
			marker, err = j.coded()
		} else {
			marker, err = j.marker()
		}
	}
	switch {
	case err != nil:
		return err
	case j.scans == 0:
		return malformed("the JPEG has no pixels")
	}
	return f.write([]byte{0xff, markerEOI})
}

// marker reads one, with the bytes that may fill up the space in front of it (B.1.1.2).
func (j *jpegFile) marker() (byte, error) {
	b, err := j.next(2)
	if err != nil {
		return 0, err
	}
	if b[0] != 0xff {
		return 0, malformed("a marker is missing at byte %d of the JPEG", j.at-2)
	}
	for b[len(b)-1] == 0xff {
		j.remove(Padding)
		if b, err = j.next(1); err != nil {
			return 0, err
		}
	}
	return b[len(b)-1], nil
}

// coded copies compressed pixels and gives the marker that ends them. In them 0xff is
// followed by 0 or is a restart (B.1.1.5).
func (j *jpegFile) coded() (byte, error) {
	for {
		b, err := j.ready()
		if err != nil {
			return 0, err
		}
		n := bytes.IndexByte(b, 0xff)
		if n < 0 {
			n = len(b)
		}
		if err := j.write(b[:n]); err != nil {
			return 0, err
		}
		if j.skipBuffered(n); n == len(b) {
			continue
		}
		marker, err := j.marker()
		if err != nil {
			return 0, err
		}
		if marker != 0 && (marker < markerRST0 || marker > markerRST7) {
			return marker, nil
		}
		_ = j.out.WriteByte(0xff) // the next one fails too
		if err := j.out.WriteByte(marker); err != nil {
			return 0, err
		}
	}
}

// segment copies or drops what follows a marker.
func (j *jpegFile) segment(marker byte) error {
	if marker < 0xc0 || marker >= markerRST0 && marker <= 0xd8 {
		return malformed("the marker %#x at byte %d of the JPEG has no place there", marker, j.at-2)
	}
	size, err := j.next(2)
	if err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint16(size)) - 2
	if length < 0 {
		return malformed("a segment at byte %d of the JPEG is shorter than its length", j.at-4)
	}
	b, err := j.next(length)
	if err != nil {
		return err
	}
	kept, err := j.kept(marker, b)
	if err != nil || kept == nil {
		return err
	}
	head := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(kept)+2))
	if err := j.write(head); err != nil {
		return err
	}
	return j.write(kept)
}

// kept gives what is kept of a segment, nil for nothing.
func (j *jpegFile) kept(marker byte, b []byte) ([]byte, error) {
	switch marker {
	case 0xc0, 0xc1, 0xc2, 0xc3, 0xc9, 0xca, 0xcb: // frames that do not build on others (B.2.2)
		if j.frames++; j.frames > 1 {
			return nil, malformed("the JPEG has a second frame")
		}
		return b, fits(len(b) >= 6 && len(b) == 6+3*int(b[5]), "frame header")
	case markerSOS:
		if j.scans++; j.frames == 0 {
			return nil, malformed("the JPEG has pixels before their measures")
		}
		return b, fits(len(b) >= 1 && len(b) == 4+2*int(b[0]), "scan header")
	case markerDQT, markerDHT, markerDAC:
		return b, fits(len(b) > 0, "table")
	case markerDRI, markerDNL:
		return b, fits(len(b) == 2, "number")
	case markerCOM:
		j.remove(Comment)
		return nil, nil
	}
	if marker < markerAPP0 || marker > markerAPP15 {
		return nil, malformed("the JPEG has the marker %#x, which cannot be left out and is not known", marker)
	}
	return j.application(marker, b), nil
}

// fits is an error unless a segment is as long as its contents.
func fits(ok bool, what string) error {
	if !ok {
		return malformed("a %s of the JPEG is not as long as it says", what)
	}
	return nil
}

// application gives what is kept of a segment for applications.
func (j *jpegFile) application(marker byte, b []byte) []byte {
	is := func(m byte, prefix string) bool {
		return marker == m && strings.HasPrefix(string(b[:min(len(b), 40)]), prefix)
	}
	switch {
	case is(markerAPP0, "JFIF\x00") && len(b) >= 14 && j.jfifs == 0: // (T.871, 10.1)
		j.jfifs++
		if len(b) == 14 && b[12] == 0 && b[13] == 0 {
			return b
		}
		j.remove(Thumbnail)
		return append(append([]byte{}, b[:12]...), 0, 0)
	case is(markerAPP0, "JFXX\x00"):
		j.remove(Thumbnail)
	case is(markerAPP1, exifMark):
		j.exifs++
		if kept := j.exif(b[len(exifMark):], j.exifs == 1 && j.scans == 0); kept != nil {
			return append([]byte(exifMark), kept...)
		}
	case is(markerAPP1, "http://ns.adobe.com/xap/1.0/\x00"), is(markerAPP1, "http://ns.adobe.com/xmp/extension/\x00"):
		j.xmp(b)
	case is(markerAPP2, "ICC_PROFILE\x00") && len(b) > 14: // (ICC.1, B.4)
		return b
	case is(markerAPP2, "MPF\x00"): // an index of the images behind the end (CIPA DC-007)
		j.remove(Images)
	case is(markerAPP13, "Photoshop 3.0\x00"):
		j.remove(IPTC)
		if bytes.Contains(b, []byte("8BIM\x04\x0c")) || bytes.Contains(b, []byte("8BIM\x04\x09")) {
			j.remove(Thumbnail)
		}
	case is(markerAPP14, "Adobe") && len(b) >= 12: // the transform of colours (T.872, 6.5.3)
		if len(b) > 12 {
			j.remove(Application)
		}
		return b[:12]
	default:
		j.remove(Application)
	}
	return nil
}
