// Package batch checks whole files of products or companies by the rules of package
// catalog: CSV with a header, or NDJSON, one document a line.
//
// A file streams: memory stays constant however long it is, and rows are checked on all
// processors while problems come out in the order of the rows. A row that cannot be read is a
// problem of that row, and the next row is looked at. A row is at most MaxRow bytes long.
//
// It says of one row what catalog.Validator says of it; of rows together it only says, if it
// is asked to, that a SKU or GTIN stands twice. It does not look for attacks in the text.
//
//	summary, err := batch.Run(ctx, file, batch.Config{Format: batch.CSV, Problem: func(p batch.Problem) error {
//		fmt.Println(p.Row, p.Column, p.Message)
//		return nil
//	}})
package batch
