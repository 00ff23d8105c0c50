// Command chartdocs writes the documentation of a chart's values into its README:
//
//	go run ./hack/chartdocs [-verify] charts/flotilla
//
// In values.yaml, a comment that begins with "# --" documents the value below it,
// "# -- (host)" one that counts with installMode=host only. Every value has one, or
// is in a map that has one. The tables go between the markers
// "<!-- values -->" and "<!-- /values -->" of README.md.
//
// With -verify nothing is written, and a README that is behind is an error.
package main
