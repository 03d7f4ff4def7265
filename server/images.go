package server

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/catalog/metadata"
)

// imageEndings are the formats that are cleaned, with the usual ending of their names.
var imageEndings = map[string]string{"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"}

// imagePause is how long a client may take to send an image, as long as the server's own limit.
const imagePause = 30 * time.Second

func (s *Server) imageRoutes() {
	op := operation{
		method: "POST", path: "/v1/catalog/images/clean", tag: "security", summary: "An image without its metadata, its pixels untouched",
		takes: slices.Sorted(maps.Keys(imageEndings)), maxBody: metadata.DefaultBytes, access: signedIn,
	}
	handle(s, op, s.cleanImage)
	o := s.findOperation(op)
	o.BodyReadTimeout = imagePause // huma's own is for small bodies
	content := map[string]*huma.MediaType{}
	for media := range imageEndings {
		content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	o.RequestBody.Content, o.Responses["200"].Content = content, content
}

// imageRequest is the body of POST /v1/catalog/images/clean.
type imageRequest struct {
	ContentType string `header:"Content-Type" hidden:"true" maxLength:"64"`
	RawBody     []byte `contentType:"image/jpeg"`
}

// cleanedImage is the answer: the image as a file to save.
type cleanedImage struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Removed     string `header:"Makerguard-Removed" doc:"What was removed, such as exif, gps, comment; absent if nothing was"`
	Body        []byte
}

// cleanImage checks an image as catalog does before it takes it apart. It answers with the whole
// result or an error, since half an image says nothing of what went wrong.
func (s *Server) cleanImage(_ context.Context, _ call, in *imageRequest) (*cleanedImage, error) {
	declared, _, _ := strings.Cut(in.ContentType, ";")
	report := catalog.ValidateImage(catalog.Image{ContentType: &declared}, in.RawBody, int64(len(in.RawBody)), catalog.ImageLimits{Bytes: metadata.DefaultBytes})
	if len(report.Errors) > 0 {
		e := &makerguard.Error{Code: makerguard.ValidationFailed, Message: "the image is not one that the catalog takes: see errors"}
		for _, p := range report.Errors {
			// The declaration is a header, which no pointer reaches: all is about the body.
			e.Fields = append(e.Fields, makerguard.FieldError{Rule: p.Rule, Message: p.Message})
		}
		return nil, e
	}
	var out bytes.Buffer
	out.Grow(len(in.RawBody))
	stripped, err := metadata.Strip(&out, bytes.NewReader(in.RawBody), metadata.Limits{})
	if err != nil {
		return nil, err
	}
	return &cleanedImage{
		ContentType: stripped.ContentType, Disposition: `attachment; filename="image` + imageEndings[stripped.ContentType] + `"`,
		Removed: stripped.List(), Body: out.Bytes(),
	}, nil
}
