package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/makerguard/makerguard/threat/eval"
)

func newTable(header table.Row) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	t.AppendHeader(header)
	numbers := []table.ColumnConfig{}
	for i := range header {
		if i > 0 && header[i] != "label" {
			numbers = append(numbers, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
		}
	}
	t.SetColumnConfigs(numbers)
	return t
}

// labelTable shows what was found of each class, and of clean samples.
func labelTable(r *eval.Report) string {
	t := newTable(table.Row{"label", "rows", "found", "found %", "as its class %"})
	add := func(name string, c eval.Count, class string) table.Row {
		return table.Row{name, c.Rows, c.Found, fmt.Sprintf("%.2f", c.Rate()), class}
	}
	for _, l := range slices.Sorted(maps.Keys(r.Labels)) {
		c := r.Labels[l]
		t.AppendRow(add(l, c, fmt.Sprintf("%.2f", c.ClassRate())))
	}
	t.AppendFooter(add("all attacks", r.Attacks, fmt.Sprintf("%.2f", r.Attacks.ClassRate())))
	t.AppendFooter(table.Row{"clean", r.Clean.Rows, r.Clean.Found, fmt.Sprintf("%.3f", r.Clean.Rate()), ""})
	return t.Render()
}

// sourceTable shows what was found of each source's labels.
func sourceTable(r *eval.Report) string {
	t := newTable(table.Row{"source", "label", "rows", "found", "found %"})
	for _, source := range slices.Sorted(maps.Keys(r.Sources)) {
		for _, label := range slices.Sorted(maps.Keys(r.Sources[source])) {
			c := r.Sources[source][label]
			t.AppendRow(table.Row{source, label, c.Rows, c.Found, fmt.Sprintf("%.2f", c.Rate())})
		}
	}
	return t.Render()
}
