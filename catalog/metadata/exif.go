package metadata

import (
	"bytes"
	"encoding/binary"
)

// The tags of Exif that are looked for (CIPA DC-008, 4.6).
const (
	tagOrientation = 0x0112
	tagExif        = 0x8769 // where the directory of the camera's settings stands
	tagGPS         = 0x8825
	tagBodySerial  = 0xa431
	tagLensSerial  = 0xa435
)

// exifMark stands in front of Exif in a JPEG, and of some in a WebP.
const exifMark = "Exif\x00\x00"

// exif notes what an Exif block tells and gives what is kept of it: a block with the orientation
// alone, nil if the image stands upright anyway. A block that is that already is not
// noted. only says whether readers look at this block: they do at one.
func (f *file) exif(b []byte, only bool) []byte {
	t, ok := readTIFF(b)
	var kept []byte
	if only && t.orientation >= 2 && t.orientation <= 8 {
		kept = uprighting(t.orientation)
	}
	if kept != nil && bytes.Equal(b, kept) {
		return kept
	}
	f.remove(Exif)
	if !ok {
		return kept
	}
	for k, found := range map[Kind]bool{GPS: t.gps, Serial: t.serial, Thumbnail: t.thumbnail} {
		if found {
			f.remove(k)
		}
	}
	return kept
}

// uprighting is the least Exif that tells how to turn an image: a header, a directory of one
// entry, and no further directory.
func uprighting(orientation uint16) []byte {
	b := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	binary.BigEndian.PutUint16(b[18:], orientation)
	return b
}

// tiff is what is read of an Exif block.
type tiff struct {
	orientation            uint16 // 0 if it has none
	gps, serial, thumbnail bool
}

// readTIFF reads the first directory of a block, and the camera's; ok is false if it has none.
func readTIFF(b []byte) (t tiff, ok bool) {
	if len(b) < 8 {
		return t, false
	}
	var order binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return t, false
	}
	followed := false
	next := directory(b, order, order.Uint32(b[4:]), func(tag uint16, entry []byte) {
		switch tag {
		case tagOrientation: // one short; of two, the first
			if t.orientation == 0 && order.Uint16(entry[2:]) == 3 && order.Uint32(entry[4:]) == 1 {
				t.orientation = order.Uint16(entry[8:])
			}
		case tagGPS:
			t.gps = true
		case tagExif:
			if followed { // of two, the first: time stays linear
				return
			}
			followed = true
			directory(b, order, order.Uint32(entry[8:]), func(tag uint16, _ []byte) {
				t.serial = t.serial || tag == tagBodySerial || tag == tagLensSerial
			})
		}
	})
	t.thumbnail = next != 0 // the second directory is the preview's
	return t, true
}

// directory calls visit with each entry of the directory at a place, as far as the block reaches,
// and gives the place of the following one.
func directory(b []byte, order binary.ByteOrder, at uint32, visit func(tag uint16, entry []byte)) (next uint32) {
	if int64(at) > int64(len(b))-2 {
		return 0
	}
	n := int(order.Uint16(b[at:]))
	b = b[at+2:]
	for range n {
		if len(b) < 12 {
			return 0
		}
		visit(order.Uint16(b), b[:12])
		b = b[12:]
	}
	if len(b) < 4 {
		return 0
	}
	return order.Uint32(b)
}

// xmp notes Adobe's metadata, of which b is the beginning.
func (f *file) xmp(b []byte) {
	f.remove(XMP)
	if bytes.Contains(b, []byte("GPSL")) { // GPSLatitude, GPSLongitude
		f.remove(GPS)
	}
	if bytes.Contains(b, []byte("xmpGImg:image")) {
		f.remove(Thumbnail)
	}
}
