package catalog

import "time"

// The product types that rules know. Others are accepted, with fewer checks.
const (
	TypeFrame      = "frame"
	TypeSunglasses = "sunglasses"
	TypeReaders    = "readers"
	TypeLens       = "lens"
)

// Product is what a manufacturer says of one product. All members are optional.
type Product struct {
	SKU               *string `json:"sku,omitempty" maxLength:"1000"`
	Name              *string `json:"name,omitempty" maxLength:"1000"`
	Description       *string `json:"description,omitempty" maxLength:"200000"`
	DescriptionFormat *string `json:"description_format,omitempty" maxLength:"1000"` // text, html or markdown
	ProductType       *string `json:"product_type,omitempty" maxLength:"1000"`
	GTIN              *string `json:"gtin,omitempty" maxLength:"1000"`
	GMN               *string `json:"gmn,omitempty" maxLength:"1000"`           // GS1 Global Model Number, the Basic UDI-DI
	MasterUDIDI       *string `json:"master_udi_di,omitempty" maxLength:"1000"` // GS1 HIDRI
	HIBC              *string `json:"hibc,omitempty" maxLength:"1000"`          // Health Industry Bar Code, primary data
	SSCC              *string `json:"sscc,omitempty" maxLength:"1000"`          // of the logistic unit it ships in
	GS1Elements       *string `json:"gs1_elements,omitempty" maxLength:"1000"`  // element string: (01)08056890123451(21)SN1
	ManufacturedOn    *string `json:"manufactured_on,omitempty" maxLength:"1000"`
	HSCode            *string `json:"hs_code,omitempty" maxLength:"1000"`
	CountryOfOrigin   *string `json:"country_of_origin,omitempty" maxLength:"1000"`
	Price             *Price  `json:"price,omitempty"`
	Frame             *Frame  `json:"frame,omitempty"`
	Lens              *Lens   `json:"lens,omitempty"`
	Rx                *Rx     `json:"rx,omitempty"`
	Images            []Image `json:"images,omitempty" maxItems:"1000"`
}

// Price is an amount of money.
type Price struct {
	// AmountMinor counts minor units, such as cents. It is a float64 so that 10.5 is a
	// problem of the rule money and not a document that cannot be read.
	AmountMinor *float64 `json:"amount_minor,omitempty"`
	Currency    *string  `json:"currency,omitempty" maxLength:"1000"` // ISO 4217
}

// Frame is the measures and make of a frame. Lengths are millimetres in the boxing
// system of ISO 8624.
type Frame struct {
	Size              *string  `json:"size,omitempty" maxLength:"1000"`         // as marked: "52[]18 140"
	Construction      *string  `json:"construction,omitempty" maxLength:"1000"` // full_rim, half_rim, rimless or other
	Material          *string  `json:"material,omitempty" maxLength:"1000"`     // metal, plastic, combination or other
	LensWidth         *float64 `json:"lens_width,omitempty"`                    // A
	Bridge            *float64 `json:"bridge,omitempty"`                        // distance between lenses
	Side              *float64 `json:"side,omitempty"`
	LensHeight        *float64 `json:"lens_height,omitempty"`        // B
	EffectiveDiameter *float64 `json:"effective_diameter,omitempty"` // twice the longest radius from the boxed centre
	PD                *float64 `json:"pd,omitempty"`                 // distance of the boxed centres
	FrontWidth        *float64 `json:"front_width,omitempty"`        // over all
}

// Lens is how dark a lens is, and what it is made of.
type Lens struct {
	Category *float64 `json:"category,omitempty"`                  // of ISO 12312-1, 0 to 4
	TauV     *float64 `json:"tau_v,omitempty"`                     // luminous transmittance in percent
	Material *string  `json:"material,omitempty" maxLength:"1000"` // glass, plastic or other
}

// Image names an image of a product.
type Image struct {
	Name        *string `json:"name,omitempty" maxLength:"1000"`
	ContentType *string `json:"content_type,omitempty" maxLength:"1000"`
}

// Validator holds what the rules need to know besides the document. Its zero value works.
// It is safe for concurrent use as long as nobody changes PriceCaps.
type Validator struct {
	// Now decides which rules are in force and what is in the future; zero is the time of
	// the call.
	Now time.Time
	// PriceCaps is the highest price that the manufacturer's tier allows, by currency code,
	// in the currency's minor units. A currency that it does not hold has no cap.
	PriceCaps map[string]int64
}

func (v Validator) now() time.Time {
	if v.Now.IsZero() {
		return time.Now()
	}
	return v.Now
}

// Product adds to r the problems of p, in the order of p's members. It keeps no reference to p.
func (v Validator) Product(r *Report, p *Product) {
	now := v.now()
	r.sku(p.SKU)
	r.descriptionFormat(p.DescriptionFormat)
	productType := r.productType(p.ProductType)
	r.gtin(p.GTIN)
	r.gmn(p.GMN)
	r.hidri(p.MasterUDIDI, p.GTIN != nil)
	r.hibc(p.HIBC)
	r.sscc(p.SSCC)
	r.elementString(p.GS1Elements, p.GTIN)
	made := r.manufacturedOn(p.ManufacturedOn, now)
	r.udi(p, productType, made)
	r.hs(p, productType)
	r.country("/country_of_origin", p.CountryOfOrigin)
	r.money(p.Price, v.PriceCaps)
	r.frame(p.Frame)
	r.lens(p.Lens, p.Description)
	r.rx(p.Rx)
	r.readers(p, productType)
	r.images(p.Images)
}

// ValidateProduct checks p by the rules that are in force at now, without caps on prices.
func ValidateProduct(p Product, now time.Time) Report {
	var r Report
	Validator{Now: now}.Product(&r, &p)
	return r
}
