package server

import (
	"fmt"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/catalog"
	"github.com/makerguard/makerguard/threat"
)

// documentInspector looks for attacks in the text members of a business document; what each
// is meant to be is known, and so is what does not belong there.
type documentInspector struct {
	detector *threat.Detector
	found    []makerguard.Finding
}

func (d *documentInspector) text(pointer string, v *string, kind makerguard.Kind, loc makerguard.Location) {
	if v != nil {
		d.found = d.detector.Inspect(d.found, threat.Input{Name: pointer, Value: *v, Location: loc, Kind: kind})
	}
}

func inspectProduct(detector *threat.Detector, p catalog.Product) []makerguard.Finding {
	d := documentInspector{detector: detector}
	d.text("/product/sku", p.SKU, makerguard.KindIdentifier, makerguard.InJSON)
	d.text("/product/name", p.Name, makerguard.KindText, makerguard.InJSON)
	description := makerguard.KindText
	if p.DescriptionFormat != nil && *p.DescriptionFormat == "html" {
		description = makerguard.KindHTML
	}
	d.text("/product/description", p.Description, description, makerguard.InJSON)
	d.text("/product/product_type", p.ProductType, makerguard.KindIdentifier, makerguard.InJSON)
	for i, img := range p.Images {
		d.text(fmt.Sprintf("/product/images/%d/name", i), img.Name, "", makerguard.InFilename)
		d.text(fmt.Sprintf("/product/images/%d/content_type", i), img.ContentType, makerguard.KindIdentifier, makerguard.InJSON)
	}
	return d.found
}

func inspectCompany(detector *threat.Detector, c catalog.Company) []makerguard.Finding {
	d := documentInspector{detector: detector}
	d.text("/company/name", c.Name, makerguard.KindText, makerguard.InJSON)
	d.text("/company/email", c.Email, makerguard.KindEmail, makerguard.InJSON)
	d.text("/company/phone", c.Phone, makerguard.KindText, makerguard.InJSON)
	d.text("/company/website", c.Website, makerguard.KindURL, makerguard.InJSON)
	return d.found
}
