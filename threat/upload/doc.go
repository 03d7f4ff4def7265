// Package upload tells whether a file that somebody sends is an attack, and reads the
// multipart bodies in which browsers send files.
//
// [Inspect] holds a file's name, its declared type and its first bytes against one another:
// an SVG that is called .png, a script behind a harmless ending, an image of a billion pixels, an
// archive that unpacks to a disk full or outside of its directory, an XML document that
// makes its reader fetch files. [Parts] takes a multipart body apart as a strict reader
// would, and says where a lenient one could read something else.
//
// It promises time linear in what it is given and at most 4 MiB of trial inflation for a
// file, whatever lengths the file claims.
//
// It decides what is dangerous, not what is wanted: which kinds of files a route takes is
// a business rule. It sees the beginning of a file that is longer than what was read,
// does not decode pixels, and does not know viruses.
//
//	findings := upload.Inspect(nil, upload.File{Field: "photo", Name: "a.png", DeclaredType: "image/png", Content: data})
package upload
