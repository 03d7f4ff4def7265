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
	Size         *string  `json:"size,omitempty" maxLength:"1000"`         // as marked: "52[]18 140"
	Construction *string  `json:"construction,omitempty" maxLength:"1000"` // full_rim, half_rim, rimless or other
	Material     *string  `json:"material,omitempty" maxLength:"1000"`     // metal, plastic, combination or other
	LensWidth    *float64 `json:"lens_width,omitempty"`                    // A
	Bridge       *float64 `json:"bridge,omitempty"`                        // distance between lenses
	Side         *float64 `json:"side,omitempty"`
	LensHeight   *float64 `json:"lens_height,omitempty"` // B
}

// Lens is how dark a lens is.
type Lens struct {
	Category *float64 `json:"category,omitempty"` // of ISO 12312-1, 0 to 4
	TauV     *float64 `json:"tau_v,omitempty"`    // luminous transmittance in percent
}

// Rx is the power of a lens, in dioptres, and the axis of its cylinder, in degrees.
type Rx struct {
	Sphere   *float64 `json:"sphere,omitempty"`
	Cylinder *float64 `json:"cylinder,omitempty"`
	Axis     *float64 `json:"axis,omitempty"`
	Add      *float64 `json:"add,omitempty"`
}

// Image names an image of a product.
type Image struct {
	Name        *string `json:"name,omitempty" maxLength:"1000"`
	ContentType *string `json:"content_type,omitempty" maxLength:"1000"`
}

// ValidateProduct checks p by the rules that are in force at now.
func ValidateProduct(p Product, now time.Time) Report {
	var r Report
	r.sku(p.SKU)
	r.descriptionFormat(p.DescriptionFormat)
	productType := r.productType(p.ProductType)
	r.gtin(p.GTIN)
	r.gmn(p.GMN)
	r.hidri(p.MasterUDIDI, p.GTIN != nil)
	r.udi(p, productType, now)
	r.hs(p.HSCode, productType, p.Frame)
	r.country("/country_of_origin", p.CountryOfOrigin)
	r.money(p.Price)
	r.frame(p.Frame)
	r.lens(p.Lens, p.Description)
	r.rx(p.Rx)
	r.readers(p, productType)
	r.images(p.Images)
	return r
}
