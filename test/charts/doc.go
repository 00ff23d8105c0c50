// Package charts tests the Helm chart without a cluster: what it renders for the
// usual sets of values (testdata/*.values.yaml, compared with goldens), what it
// refuses, and rules that hold for every object of every set. Helm's own library
// renders, as fedctl does.
//
// After a change of templates, "go test ./test/charts -update" writes the goldens
// anew; the diff is for the review.
package charts
