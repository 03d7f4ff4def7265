package threat_test

import (
	"testing"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/threat"
)

// The paths of web sites share names with directories of systems.
func TestDetector_SitePathsAreNoSystemFiles(t *testing.T) {
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/home/settings", "/log/today", "/web/", "/dev/api", "/opt/in", "/mysql/docs", "/srv/x", "/windows/frames", "/mnt/x", "/bin/sizes",
		"/products/52_18-140", "/api/v1/products/8056890123451", "/static/app.3f2a.js", "/a/b.c/d-e_f", "/media/cat-eye.webp", "/fr/lunettes/été",
	} {
		if found := d.Inspect(nil, threat.Input{Name: "path", Value: path, Location: makerguard.InPath}); len(found) != 0 {
			t.Errorf("path %q: %v, want nothing", path, found)
		}
		if found := d.Inspect(nil, threat.Input{Name: "next", Value: path, Location: makerguard.InQuery}); len(found) != 0 {
			t.Errorf("next=%q: %v, want nothing", path, found)
		}
	}
	for _, path := range []string{"/etc/passwd", "/etc/", "/home/admin/.ssh/id_rsa", "/opt/app/config.ini", "/logs/access_log", "/windows/win.ini", "/var/log/nginx/error.log"} {
		if found := d.Inspect(nil, threat.Input{Name: "file", Value: path, Location: makerguard.InQuery}); len(found) == 0 {
			t.Errorf("file=%q: nothing, want path_traversal", path)
		}
	}
}

// What a shop's clients send all day.
func TestDetector_OrdinaryRequestsPass(t *testing.T) {
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"page=2&sort=-created_at&filter[color]=red", "q=ray+ban+or+similar", "q=%22aviator%22+AND+%22gold%22", "redirect=https%3A%2F%2Fshop.example%2Fcart%3Fid%3D5",
		"utm_source=news&utm_campaign=spring%2Bsale", "fields=id,name,price", "ids=1,2,3&include=frame.size", "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00%2B01:00",
		"email=anna.o%27neill%40optik.example", "price=%3E100", "price[gte]=100&price[lte]=200", "name=O%27Brien+%26+Sons", "size=52%5B%5D18-145", "note=50%25+off+%28today+only%29",
		"callback=jsonp_123", "q=select+glasses+from+our+shop", "q=C%2B%2B+%26+C%23", "tag=%23sunglasses", "path=a%2Fb%2Fc.png", "v=1.2.3-rc.1%2Bbuild.5", "state=eyJhIjoxfQ%3D%3D",
		"q=drop+shoulder+or+drop+temple%3B+wide", "q=what%27s+new%3F", "lat=48.85&lng=-2.35", "expr=2%2B2%3D4", "lang=fr-FR%2Cfr%3Bq%3D0.9",
	} {
		if found := d.InspectQuery(nil, query); len(found) != 0 {
			t.Errorf("?%s: %v, want nothing", query, found)
		}
	}
	for name, values := range map[string][]string{
		"User-Agent": {
			"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
			"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
			"curl/8.9.1", "python-requests/2.32.3", "Go-http-client/1.1", "PostmanRuntime/7.43.0", "kube-probe/1.33", "Googlebot/2.1 (+http://www.google.com/bot.html)",
			"Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A.240105.004)", "okhttp/4.12.0", "Apache-HttpClient/4.5.14 (Java/21.0.2)",
		},
		"Referer":         {"https://shop.example/search?q=cat-eye&page=2#results", "http://localhost:3000/cart", "android-app://com.example.shop/", "https://www.google.com/"},
		"Accept-Language": {"de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "*", "fr"},
	} {
		for _, v := range values {
			if found := d.Inspect(nil, threat.Input{Name: name, Value: v, Location: makerguard.InHeader}); len(found) != 0 {
				t.Errorf("%s %q: %v, want nothing", name, v, found)
			}
		}
	}
	for _, body := range []string{
		`{"name":"Aviator","price":{"amount_minor":12990,"currency":"EUR"},"tags":["men","gold & black"],"note":"<3 it; best in class"}`,
		`{"description":"**Handmade** in Italy — [see more](https://maker.example/about). Sizes: 52[]18-145 / 54[]18-145","stock":null}`,
		`{"query":"Which frame is best for me? I'm -3.50 / +1.00 and my PD is 63","locale":"en_US"}`,
		`{"address":"Rue de l'Église 12; 2e étage, 75001 Paris","company":"Müller, Söhne & Co. KG (Optik)"}`,
		`{"sku":"AB-52_18","html":false,"dims":"5\" x 3\"","url":"https://cdn.maker.example/img/a.png?w=800&h=600"}`,
	} {
		if found := d.InspectJSON(nil, threat.Input{Name: "body", Value: body, Location: makerguard.InJSON}); len(found) != 0 {
			t.Errorf("%s: %v, want nothing", body, found)
		}
	}
}

// A parameter that carries links may hold one to another site; one that names a file or a
// page of ours may not.
func TestInspectQuery_LinksStandWhereLinksBelong(t *testing.T) {
	d, err := threat.NewDetector(threat.DetectorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"redirect_uri=https://shop.example", "website=https%3A%2F%2Fwww.maker.example%2F", "iss=https://id.example", "u=https://maker.example", "next=https://shop.example/cart?", "ref=https://www.search.example/",
		"image=https://cdn.maker.example/a.png?w=300", "page=https://maker.example/about-us", "q=https://maker.example", "origin=http://shop.example:8080",
	} {
		if found := d.InspectQuery(nil, query); len(found) != 0 {
			t.Errorf("?%s: %v, want nothing", query, found)
		}
	}
	for _, query := range []string{"page=http://other.example", "file=https://other.example/", "lang=http://other.example/cmd.txt", "tpl=ftp://other.example/x", "inc=http://other.example/a?", "redirect=http://other.example/shell.php%00", "x=http://192.0.2.7/a.php", "doc=php://input", "next=http://localhost/"} {
		if found := d.InspectQuery(nil, query); len(found) == 0 {
			t.Errorf("?%s: nothing, want a finding", query)
		}
	}
}
