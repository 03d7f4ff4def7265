package upload

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/makerguard/makerguard"
)

var ruleGzipBomb = &rule{"upload.gzip.bomb", makerguard.MalformedInput, makerguard.SeverityHigh, certain, "The file unpacks to 200 times its size, to fill a disk or a memory."}

// gzip unpacks the beginning of a file, and inspects it as the file that it is: a drawing with a
// script can be packed, and is shown all the same.
func (x *inspection) gzip() {
	if x.nested {
		x.tell(ruleZipNested, "gzip")
		return
	}
	source := bytes.NewReader(x.file.Content)
	r, err := gzip.NewReader(source)
	if err != nil {
		return
	}
	inner, _ := io.ReadAll(io.LimitReader(r, int64(x.budget))) // what is broken or cut off ends there
	x.budget -= len(inner)
	if used := len(x.file.Content) - source.Len(); len(inner) >= ratioFrom && len(inner) > MaxRatio*used {
		x.tell(ruleGzipBomb, fmt.Sprintf("%d bytes or more of %d", len(inner), used))
	}
	if len(inner) == 0 {
		return
	}
	name := plainName(x.file.Name)
	if strings.HasSuffix(strings.ToLower(name), ".svgz") {
		name = name[:len(name)-1]
	} else {
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".GZ")
	}
	packed := *x
	packed.file = File{Field: x.file.Field, Name: name, Content: inner, Truncated: x.file.Truncated || x.budget <= 0}
	packed.nested = true
	packed.content()
	x.dst, x.budget = packed.dst, packed.budget
}
