package catalog

import "time"

// Company is what a manufacturer says of itself. All members are optional.
type Company struct {
	Name    *string `json:"name,omitempty"`
	Country *string `json:"country,omitempty"` // ISO 3166-1 alpha-2
	VAT     *string `json:"vat,omitempty"`     // with its country prefix
	LEI     *string `json:"lei,omitempty"`
	IBAN    *string `json:"iban,omitempty"`
	BIC     *string `json:"bic,omitempty"`
	DUNS    *string `json:"duns,omitempty"`
	UEI     *string `json:"uei,omitempty"`
	EORI    *string `json:"eori,omitempty"`
	SRN     *string `json:"srn,omitempty"`
	GLN     *string `json:"gln,omitempty"`
	Email   *string `json:"email,omitempty"`
	Phone   *string `json:"phone,omitempty"`
	Website *string `json:"website,omitempty"`
}

// ValidateCompany checks c by the rules that are in force at now.
func ValidateCompany(c Company, _ time.Time) Report {
	var r Report
	r.country("/country", c.Country)
	r.vat(c.VAT)
	r.lei(c.LEI)
	r.iban(c.IBAN)
	r.bic(c.BIC)
	r.duns(c.DUNS)
	r.uei(c.UEI)
	r.eori(c.EORI)
	r.srn(c.SRN)
	r.gln(c.GLN)
	r.contact(c)
	return r
}
