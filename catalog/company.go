package catalog

import "time"

// Company is what a manufacturer says of itself. All members are optional.
type Company struct {
	Name    *string `json:"name,omitempty" maxLength:"1000"`
	Country *string `json:"country,omitempty" maxLength:"1000"` // ISO 3166-1 alpha-2
	VAT     *string `json:"vat,omitempty" maxLength:"1000"`     // with its country prefix
	LEI     *string `json:"lei,omitempty" maxLength:"1000"`
	IBAN    *string `json:"iban,omitempty" maxLength:"1000"`
	BIC     *string `json:"bic,omitempty" maxLength:"1000"`
	DUNS    *string `json:"duns,omitempty" maxLength:"1000"`
	UEI     *string `json:"uei,omitempty" maxLength:"1000"`
	EORI    *string `json:"eori,omitempty" maxLength:"1000"`
	SRN     *string `json:"srn,omitempty" maxLength:"1000"`
	GLN     *string `json:"gln,omitempty" maxLength:"1000"`
	Email   *string `json:"email,omitempty" maxLength:"1000"`
	Phone   *string `json:"phone,omitempty" maxLength:"1000"`
	Website *string `json:"website,omitempty" maxLength:"1000"`
}

// Company adds to r the problems of c, in the order of c's members. It keeps no reference to c.
func (v Validator) Company(r *Report, c *Company) {
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
}

// ValidateCompany checks c by the rules that are in force at now.
func ValidateCompany(c Company, now time.Time) Report {
	var r Report
	Validator{Now: now}.Company(&r, &c)
	return r
}
