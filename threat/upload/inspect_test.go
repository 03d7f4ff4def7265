package upload_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat/upload"
)

func rulesOf(fs []makerguard.Finding) []string {
	var list []string
	for _, f := range fs {
		list = append(list, f.Rule)
	}
	return list
}

func TestInspect_PassesWhatBusinessSends(t *testing.T) {
	xlsx := zipFile(t,
		zipped{name: "[Content_Types].xml", content: `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`},
		zipped{name: "xl/worksheets/sheet1.xml", content: "<worksheet>" + strings.Repeat(`<row r="1"><c r="A1" t="s"><v>0</v></c></row>`, 5000) + "</worksheet>"},
		zipped{name: "_rels/.rels", content: "<Relationships/>"})
	photos := zipFile(t, zipped{name: "photos/"}, zipped{name: "photos/front.png", content: string(pngFile(t))}, zipped{name: "photos/catalog.pl.csv", content: priceList()})
	for name, f := range map[string]upload.File{
		"a photo":                    {Name: "Brille für Männer (1).PNG", DeclaredType: "image/png", Content: pngFile(t)},
		"a photo as JPEG":            {Name: "IMG_0001.jpeg", DeclaredType: "image/jpeg", Content: jpegFile(t)},
		"a photo with a preview":     {Name: "a.jpg", DeclaredType: "image/jpeg", Content: append(jpegFile(t), jpegFile(t)...)},
		"a photo with a video":       {Name: "a.jpg", DeclaredType: "image/jpeg", Content: append(jpegFile(t), "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isom"...)},
		"an animation":               {Name: "a.gif", DeclaredType: "image/gif", Content: gifFile(t, 36)},
		"a WebP":                     {Name: "a.webp", DeclaredType: "image/webp", Content: webpFile(4000, 3000, 0)},
		"the beginning of a photo":   {Name: "a.png", DeclaredType: "image/png", Content: pngFile(t)[:20000], Truncated: true},
		"a photo with a text":        {Name: "a.png", Content: pngChunk(pngFile(t), "zTXt", append([]byte("Comment\x00\x00"), deflated(t, 10_000)...))},
		"a price list":               {Name: "price list, 2026.csv", DeclaredType: "text/csv", Content: []byte(priceList())},
		"a price list from Windows":  {Name: "preise.csv", DeclaredType: "application/vnd.ms-excel", Content: []byte("sku;name\r\n1;S\xf6hne\r\n")},
		"a price list in UTF-16":     {Name: "preise.csv", DeclaredType: "text/csv", Content: utf16File(priceList(), binary.LittleEndian, true)},
		"a text cut in a character":  {Name: "a.txt", DeclaredType: "text/plain", Content: []byte("S\xc3"), Truncated: true},
		"a text that begins like BM": {Name: "a.csv", DeclaredType: "text/csv", Content: []byte("BM;MZ;52-18-140;black;159.00\r\nMZ;BM;52-18-140;black;159.00\r\n")},
		"a PDF":                      {Name: "datasheet.pdf", DeclaredType: "application/pdf", Content: []byte(pdfFile)},
		"a workbook":                 {Name: "stock.xlsx", DeclaredType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Content: xlsx},
		"an archive of photos":       {Name: "photos.zip", DeclaredType: "application/x-zip-compressed", Content: photos},
		"the beginning of one":       {Name: "photos.zip", DeclaredType: "application/zip", Content: photos[:len(photos)-200], Truncated: true},
		"a drawing":                  {Name: "logo.svg", DeclaredType: "image/svg+xml", Content: []byte(logo)},
		"a packed drawing":           {Name: "logo.svgz", DeclaredType: "image/svg+xml", Content: gzipFile(t, []byte(logo))},
		"a feed":                     {Name: "feed.xml", DeclaredType: "text/xml", Content: []byte(`<?xml version="1.0" encoding="iso-8859-1"?><BMECAT><ARTICLE lang="de">S` + "\xf6" + `hne</ARTICLE></BMECAT>`)},
		"a packed price list":        {Name: "a.csv.gz", DeclaredType: "application/gzip", Content: gzipFile(t, []byte(priceList()))},
		"a model of a frame":         {Name: "frame.glb", DeclaredType: "model/gltf-binary", Content: []byte("glTF\x02\x00\x00\x00\x00\x01\x00\x00")},
		"a product of a company":     {Name: "Maker.Inc.csv", DeclaredType: "text/csv", Content: []byte("a,b")},
		"nothing":                    {Name: "", DeclaredType: "application/octet-stream"},
	} {
		if got := upload.Inspect(nil, f); len(got) != 0 {
			t.Errorf("%s: %v %q, want nothing", name, rulesOf(got), got[0].Evidence)
		}
	}
}

func TestInspect_FindsAttacks(t *testing.T) {
	svg := func(s string) []byte {
		return []byte(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">` + s + `</svg>`)
	}
	entry := func(name string) []byte { return zipFile(t, zipped{name: name, content: "x"}) }
	script := `<script>alert(1)</script>`
	for name, tc := range map[string]struct {
		file upload.File
		want string
	}{
		"an SVG called png":           {upload.File{Name: "a.png", Content: []byte(logo)}, "upload.mismatch"},
		"an SVG declared png":         {upload.File{DeclaredType: "image/png", Content: []byte(logo)}, "upload.mismatch"},
		"text with a GIF's signature": {upload.File{Name: "a.gif", Content: []byte("GIF89a; anything")}, "upload.mismatch"},
		"HTML as a text":              {upload.File{Name: "a.txt", Content: []byte("<html><body>")}, "upload.mismatch"},
		"bytes called jpg":            {upload.File{Name: "a.jpg", Content: []byte("\x00\x01\x02\x03")}, "upload.mismatch"},
		"a program called pdf":        {upload.File{Name: "a.pdf", Content: append([]byte("MZ\x90\x00"), make([]byte, 80)...)}, "upload.mismatch"},
		"a JPEG called png":           {upload.File{Name: "a.png", Content: jpegFile(t)}, "upload.mislabelled"},

		"a Windows program": {upload.File{Content: append([]byte("MZ\x90\x00"), make([]byte, 80)...)}, "upload.program"},
		"a Linux program":   {upload.File{Content: []byte("\x7fELF\x02\x01\x01\x00")}, "upload.program"},
		"a Java class":      {upload.File{Content: []byte("\xca\xfe\xba\xbe\x00\x00\x00\x41")}, "upload.program"},
		"a shell script":    {upload.File{Name: "a.txt", Content: []byte("#! /bin/sh\nid\n")}, "upload.program"},

		"PHP in a text":               {upload.File{Name: "a.txt", Content: []byte("hello <?php system($_GET[0]); ?>")}, "upload.script"},
		"PHP in a photo":              {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "tEXt", []byte("Comment\x00<?php phpinfo(); ?>"))}, "upload.script"},
		"PHP in UTF-16":               {upload.File{Name: "a.txt", Content: utf16File("<?php phpinfo();", binary.LittleEndian, true)}, "upload.script"},
		"a short tag":                 {upload.File{Name: "a.txt", Content: []byte("<?=`id`?>")}, "upload.script"},
		"JSP":                         {upload.File{Name: "a.txt", Content: []byte(`<%@ page import="java.io.*" %><% Runtime.getRuntime().exec("id"); %>`)}, "upload.script"},
		"ASP":                         {upload.File{Name: "a.jpg", Content: append(jpegFile(t), []byte(`<%@ Language="VBScript" %><%eval request("a")%>`)...)}, "upload.script"},
		"ASP as an element":           {upload.File{Name: "a.txt", Content: []byte(`<script language="c#" runat="server">`)}, "upload.script"},
		"HTML":                        {upload.File{Name: "a.html", DeclaredType: "text/html", Content: []byte(" \n<!DOCTYPE html><p>")}, "upload.html"},
		"HTML with a NUL":             {upload.File{Name: "a.html", Content: []byte("<html>\x00<body onload=alert(1)>")}, "upload.html"},
		"HTML in a photo":             {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "tEXt", []byte("Comment\x00"+script))}, "upload.markup"},
		"a photo and an archive":      {upload.File{Name: "a.png", Content: append(pngFile(t), entry("a.txt")...)}, "upload.polyglot"},
		"a photo around an archive":   {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "teXt", entry("a.txt"))}, "upload.polyglot"},
		"a photo and a program":       {upload.File{Name: "a.jpg", Content: append(jpegFile(t), "\x7fELF\x02\x01"...)}, "upload.polyglot"},
		"an animation and an archive": {upload.File{Name: "a.gif", Content: append(gifFile(t, 2), entry("a.class")...)}, "upload.polyglot"},
		"a script that is a GIF":      {upload.File{Name: "a.gif", Content: append([]byte("GIF89a/*"), gifFile(t, 1)[8:]...)}, "upload.polyglot"},
		"a PDF in a photo":            {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "tEXt", []byte("a\x00%PDF-1.4"))}, "upload.polyglot"},
		"objects of Java":             {upload.File{Content: []byte("\xac\xed\x00\x05sr\x00\x11java.util.HashMap")}, "upload.serialized"},
		"objects of Python":           {upload.File{Content: []byte("\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix")}, "upload.serialized"},
		"a PHP archive in a photo":    {upload.File{Name: "a.gif", Content: append(gifFile(t, 1), "<?php __HALT_COMPILER(); ?>"...)}, "upload.serialized"},
		"a PDF with a script":         {upload.File{Name: "a.pdf", Content: []byte(strings.Replace(pdfFile, "/OpenAction [3 0 R /Fit]", "/OpenAction << /S /Java#53cript /JS (app.alert(1)) >>", 1))}, "upload.pdf.script"},
		"a PDF that starts a program": {upload.File{Name: "a.pdf", Content: []byte(strings.Replace(pdfFile, "[3 0 R /Fit]", "<</S/Launch/F(cmd.exe)>>", 1))}, "upload.pdf.script"},

		"a pixel bomb":        {upload.File{Name: "a.png", Content: resized(pngFile(t), 19_000, 19_000)}, "upload.image.pixels"},
		"a long side":         {upload.File{Name: "a.png", Content: resized(pngFile(t), 1, 30_000)}, "upload.image.pixels"},
		"more than signed":    {upload.File{Name: "a.png", Content: resized(pngFile(t), 1<<31+1, 1)}, "upload.image.pixels"},
		"a large frame":       {upload.File{Name: "a.gif", Content: bytes.Replace(gifFile(t, 1), []byte("\x2c\x00\x00\x00\x00\x28\x00\x14\x00"), []byte("\x2c\x00\x00\x00\x00\xff\xff\xff\xff"), 1)}, "upload.image.pixels"},
		"many large frames":   {upload.File{Name: "a.webp", Content: webpFile(4000, 4000, 50)}, "upload.image.frames"},
		"too many frames":     {upload.File{Name: "a.gif", Content: gifFile(t, 2500)}, "upload.image.frames"},
		"frames announced":    {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "acTL", []byte("\x7f\xff\xff\xff\x00\x00\x00\x00"))}, "upload.image.frames"},
		"no pixels":           {upload.File{Name: "a.png", Content: resized(pngFile(t), 0, 5)}, "upload.image.measures"},
		"a bomb in a text":    {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "zTXt", append([]byte("Comment\x00\x00"), deflated(t, 5<<20)...))}, "upload.image.text"},
		"one in a profile":    {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "iCCP", append([]byte("p\x00\x00"), deflated(t, 5<<20)...))}, "upload.image.text"},
		"one in an iTXt":      {upload.File{Name: "a.png", Content: pngChunk(pngFile(t), "iTXt", append([]byte("k\x00\x01\x00en\x00k\x00"), deflated(t, 5<<20)...))}, "upload.image.text"},
		"a script":            {upload.File{Content: svg(script)}, "upload.svg.script"},
		"a script's prefix":   {upload.File{Content: []byte(`<x:svg xmlns:x="http://www.w3.org/2000/svg"><x:script>alert(1)</x:script></x:svg>`)}, "upload.svg.script"},
		"a script in UTF-16":  {upload.File{Content: utf16File(string(svg(script)), binary.BigEndian, true)}, "upload.svg.script"},
		"one without a mark":  {upload.File{Content: utf16File(string(svg(script)), binary.LittleEndian, false)}, "upload.svg.script"},
		"a packed script":     {upload.File{Name: "a.svgz", Content: gzipFile(t, svg(script))}, "upload.svg.script"},
		"behind a comment":    {upload.File{Content: svg(`<!-- --!><script>`)}, "upload.svg.script"},
		"behind a no-comment": {upload.File{Content: svg(`<!--><script>alert(1)</script>-->`)}, "upload.svg.script"},
		"in another document": {upload.File{Content: []byte(`<?xml version="1.0"?><a><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/></a>`)}, "upload.svg.event"},
		"an event":            {upload.File{Content: svg(`<rect onmouseover = 'alert(1)'/>`)}, "upload.svg.event"},
		"an event by a slash": {upload.File{Content: []byte(`<svg/onload=alert(1)>`)}, "upload.svg.event"},
		"an event set":        {upload.File{Content: svg(`<set attributeName="onclick" to="alert(1)"/>`)}, "upload.svg.event"},
		"a link":              {upload.File{Content: svg(`<a xlink:href="java&#x09;script&colon;alert(1)">x</a>`)}, "upload.svg.url"},
		"a link animated":     {upload.File{Content: svg(`<a><animate attributeName="href" values="#a;javascript:alert(1)"/></a>`)}, "upload.svg.url"},
		"a page in a link":    {upload.File{Content: svg(`<a href="data:text/html,x">x</a>`)}, "upload.svg.url"},
		"HTML in a drawing":   {upload.File{Content: svg(`<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>`)}, "upload.svg.foreign"},
		"another file":        {upload.File{Content: svg(`<image href="http://169.254.169.254/latest/"/>`)}, "upload.svg.external"},
		"a local file":        {upload.File{Content: svg(`<use xlink:href="file:///etc/passwd#a"/>`)}, "upload.svg.external"},
		"without a scheme":    {upload.File{Content: svg(`<image href="//evil.example/a.png"/>`)}, "upload.svg.external"},
		"in a style":          {upload.File{Content: svg(`<rect style="fill:u\72l(&quot;http://evil.example/&quot;)"/>`)}, "upload.svg.external"},
		"an import":           {upload.File{Content: svg(`<style>@im<!-- -->port "http://evil.example/a.css";</style>`)}, "upload.svg.style"},
		"an escaped import":   {upload.File{Content: svg(`<style><![CDATA[@\69 mport/**/"a.css"]]></style>`)}, "upload.svg.style"},

		"entities":               {upload.File{Name: "a.xml", Content: []byte(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`)}, "upload.xml.entity"},
		"entities of a drawing":  {upload.File{Name: "a.svg", Content: []byte(`<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>`)}, "upload.xml.entity"},
		"a foreign definition":   {upload.File{Name: "a.svg", Content: []byte(`<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://evil.example/svg11.dtd"><svg/>`)}, "upload.xml.doctype"},
		"a style sheet":          {upload.File{Name: "a.xml", Content: []byte(`<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#a"?><a/>`)}, "upload.xml.include"},
		"an inclusion":           {upload.File{Name: "a.xml", Content: []byte(`<feed xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></feed>`)}, "upload.xml.include"},
		"an encoding that hides": {upload.File{Name: "a.svg", Content: []byte(`<?xml version="1.0" encoding="UTF-7"?><svg>+ADw-script+AD4-</svg>`)}, "upload.xml.encoding"},
		"depth":                  {upload.File{Name: "a.svg", Content: svg(strings.Repeat("<g>", 300) + strings.Repeat("</g>", 300))}, "upload.xml.depth"},
		"an object":              {upload.File{Name: "a.xml", Content: []byte(`<?xml version="1.0"?><java version="1.8" class="java.beans.XMLDecoder"><object class="java.lang.ProcessBuilder"/></java>`)}, "upload.xml.object"},

		"out of the directory": {upload.File{Name: "a.zip", Content: entry("../../etc/cron.d/a")}, "upload.zip.path"},
		"with backslashes":     {upload.File{Name: "a.zip", Content: entry(`a\..\..\b.txt`)}, "upload.zip.path"},
		"from the root":        {upload.File{Name: "a.zip", Content: entry("/etc/passwd")}, "upload.zip.path"},
		"from a drive":         {upload.File{Name: "a.zip", Content: entry("C:/windows/a.txt")}, "upload.zip.path"},
		"a link out":           {upload.File{Name: "a.zip", Content: zipFile(t, zipped{"a", "/etc", func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }})}, "upload.zip.path"},
		"encrypted":            {upload.File{Name: "a.zip", Content: zipFile(t, zipped{"a.txt", "", func(h *zip.FileHeader) { h.Flags |= 1 }})}, "upload.zip.encrypted"},
		"an archive within":    {upload.File{Name: "a.zip", Content: entry("b.7z")}, "upload.zip.nested"},
		"one called txt":       {upload.File{Name: "a.zip", Content: zipFile(t, zipped{name: "b.txt", content: string(entry("c.txt"))})}, "upload.zip.nested"},
		"a program within":     {upload.File{Name: "a.zip", Content: entry("photos/a.png.exe")}, "upload.zip.program"},
		"one called png":       {upload.File{Name: "a.zip", Content: zipFile(t, zipped{name: "a.png", content: "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 600)})}, "upload.zip.program"},
		"a web shell within":   {upload.File{Name: "a.zip", Content: entry("a/.htaccess")}, "upload.zip.program"},
		"macros":               {upload.File{Name: "a.xlsx", Content: entry("xl/vbaProject.bin")}, "upload.zip.macro"},
		"a packed archive":     {upload.File{Name: "a.zip.gz", Content: gzipFile(t, entry("a.txt"))}, "upload.zip.nested"},
		"packed twice":         {upload.File{Name: "a.gz", Content: gzipFile(t, gzipFile(t, []byte("a")))}, "upload.zip.nested"},
		"a bomb in gzip":       {upload.File{Name: "a.gz", Content: gzipFile(t, make([]byte, 10<<20))}, "upload.gzip.bomb"},
	} {
		tc.file.Field = "photo"
		got := upload.Inspect(nil, tc.file)
		if !slices.Contains(rulesOf(got), tc.want) {
			t.Errorf("%s: %v, want %s", name, rulesOf(got), tc.want)
		}
		checkFindings(t, tc.file, got)
	}
}

// checkFindings checks what holds for the findings of any file.
func checkFindings(t *testing.T, file upload.File, fs []makerguard.Finding) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range fs {
		if f.Type == "" || f.Severity == "" || f.Description == "" || f.Score < 1 || f.Score > 5 || f.Location == "" || f.Input != file.Field || seen[f.Rule] {
			t.Errorf("finding lacks something: %+v", f)
		}
		seen[f.Rule] = true
		if len(f.Evidence) > 80 || !utf8.ValidString(f.Evidence) {
			t.Errorf("evidence %q, want at most 80 bytes of UTF-8", f.Evidence)
		}
		if f.Offset < 0 || f.Length < 0 || f.Offset+f.Length > len(file.Content) {
			t.Errorf("%s: %d bytes at %d of %d", f.Rule, f.Length, f.Offset, len(file.Content))
		}
	}
}

func TestInspect_Names(t *testing.T) {
	for name, want := range map[string]string{
		"photo.png": "", "Brille.für.Männer.jpg": "", "12-18.140 (black).JPG": "", "catalog.pl.csv": "", "company.com.csv": "", "a;b.png": "", ".png": "", "": "",
		"100% acetate.pdf": "", "constant.png": "", "auxiliary.csv": "", "Acme.Inc.pdf": "", "C.png": "",
		"../../etc/passwd": "upload.name.path", `..\a.png`: "upload.name.path", `C:\a.png`: "upload.name.path", "C:a.png": "upload.name.path", "a/b.png": "upload.name.path", "..": "upload.name.path",
		"%2e%2e%2fa.png": "upload.name.path", "a\x00.png": "upload.name.control", "a%00.png": "upload.name.control", "a\u202egnp.exe": "upload.name.control", "a\n.png": "upload.name.control",
		"CON": "upload.name.device", "nul.png": "upload.name.device", "Com1.txt": "upload.name.device", "lpt9 .png": "upload.name.device", "a.png::$DATA": "upload.name.device",
		".htaccess": "upload.name.config", "Web.Config": "upload.name.config", ".user.ini": "upload.name.config", "web.config.": "upload.name.config",
		"a.php": "upload.name.script", "a.pHp5": "upload.name.script", "a.php.jpg": "upload.name.script", "a.jpg.phtml": "upload.name.script", "a.php ": "upload.name.script", "a.php. .": "upload.name.script",
		"a.asp;.jpg": "upload.name.script", "a.aspx:.jpg": "upload.name.script", "a.php\x00.png": "upload.name.script", "a.php%00.png": "upload.name.script", "a.jsp/": "upload.name.path", "a.phar": "upload.name.script",
		"a.exe": "upload.name.program", "invoice.pdf.EXE": "upload.name.program", "a.js": "upload.name.program", "a.docm": "upload.name.program", "a.sh": "upload.name.program", "a.lnk ": "upload.name.program",
	} {
		got := rulesOf(upload.Inspect(nil, upload.File{Name: name}))
		if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, want) {
			t.Errorf("Inspect(%q) = %v, want %q", name, got, want)
		}
	}
}

// Archives are bounded before anybody unpacks them.
func TestInspect_ArchiveBombs(t *testing.T) {
	many := make([]zipped, upload.MaxEntries+1)
	for i := range many {
		many[i].name = strings.Repeat("a", i%7) + string(rune('0'+i%10)) + string(rune(0x4e00+i))
		many[i].header = func(h *zip.FileHeader) { h.Method = zip.Store }
	}
	good := zipFile(t, zipped{name: "a.txt", content: strings.Repeat("some text ", 50)}, zipped{name: "b.txt", content: "other"})
	overlapping := bytes.Clone(good) // the directory's second entry is the first once more
	second := bytes.LastIndex(overlapping, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(overlapping[second+42:], 0)
	renamed := bytes.Replace(good, []byte("a.txt"), []byte("z.txt"), 1) // in front of the data only
	for name, tc := range map[string]struct {
		content   []byte
		truncated bool
		want      string
	}{
		"a ratio":             {zipFile(t, zipped{name: "a.txt", content: string(make([]byte, 20<<20))}), false, "upload.zip.bomb"},
		"a lie about it":      {rawZip(t, "a.txt", make([]byte, 20<<20), 100), false, "upload.zip.bomb"},
		"a lie, cut off":      {rawZip(t, "a.txt", make([]byte, 20<<20), 100)[:15000], true, "upload.zip.bomb"},
		"an honest one, cut":  {zipFile(t, zipped{name: "a.txt", content: string(make([]byte, 20<<20))})[:15000], true, "upload.zip.bomb"},
		"an announced volume": {rawZip(t, "a.txt", []byte("a"), 1<<40), false, "upload.zip.bomb"},
		"entries":             {zipFile(t, many...), false, "upload.zip.bomb"},
		"shared bytes":        {overlapping, false, "upload.zip.overlap"},
		"two names":           {renamed, false, "upload.zip.malformed"},
		"one name twice":      {zipFile(t, zipped{name: "a.txt"}, zipped{name: "a.txt"}), false, "upload.zip.malformed"},
		"no directory":        {good[:len(good)-30], false, "upload.zip.malformed"},
		"another in front":    {append(bytes.Clone(good), good...), false, "upload.zip.malformed"},
		"a comment's comment": {append(bytes.Clone(good), "tail"...), false, "upload.zip.malformed"},
		"nothing":             {good, false, ""},
		"the beginning":       {good[:60], true, ""},
	} {
		f := upload.File{Name: "a.zip", Content: tc.content, Truncated: tc.truncated}
		got := upload.Inspect(nil, f)
		if tc.want == "" && len(got) > 0 || tc.want != "" && !slices.Contains(rulesOf(got), tc.want) {
			t.Errorf("%s: %v, want %q", name, rulesOf(got), tc.want)
		}
		checkFindings(t, f, got)
	}
}

func TestText(t *testing.T) {
	for name, tc := range map[string]struct {
		content []byte
		want    string
		ok      bool
	}{
		"UTF-8":        {[]byte("\ufeffSöhne"), "Söhne", true},
		"Windows-1252": {[]byte("S\xf6hne"), "Söhne", true},
		"UTF-16":       {utf16File("Söhne 𝄞", binary.BigEndian, true), "Söhne 𝄞", true},
		"XML":          {[]byte("<feed>b</feed>"), "<feed>b</feed>", true},
		"SVG":          {[]byte("<svg/>"), "", false},
		"an image":     {pngFile(t), "", false},
		"bytes":        {[]byte("a\x00b"), "", false},
	} {
		if got, ok := upload.Text(upload.File{Content: tc.content}); got != tc.want || ok != tc.ok {
			t.Errorf("%s: Text = %q, %v, want %q, %v", name, got, ok, tc.want, tc.ok)
		}
	}
}
