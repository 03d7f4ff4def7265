// Package metadata rewrites image files without what they tell besides their pixels: where
// and with which camera a photo was taken, who edited it, comments, previews of what was
// cut away, and whatever stands behind the image's end.
//
// [Strip] works on the structure of the file. It decodes no pixels and loses none: what is
// coded is copied as it is, so the image looks the same. It knows JPEG, PNG, GIF and
// WebP. What changes how pixels look stays: colour profiles, gamma, transparency, animation,
// resolution, and the orientation, for which an Exif block of that one value is written.
//
// It keeps what it knows and drops the rest, so what is new or private to one vendor goes. It
// takes linear time. It holds at most 64 KiB of a JPEG, PNG or GIF; of a WebP, whose length
// stands at its beginning, it holds the result.
//
// It does not look into what it keeps: the texts within a colour profile, bytes behind the
// end of compressed pixels, and what is hidden in the pixels themselves. Who must be rid of
// these decodes the image and encodes it anew.
//
//	report, err := metadata.Strip(&out, file, metadata.Limits{})
package metadata
