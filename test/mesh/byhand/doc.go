// Package byhand does by hand what Istio's guides say, with real istiods beside
// the members of a playground. Nothing of meshlink is in it: it is what is known
// about istiod apart from meshlink, and fails when another version of Istio
// behaves differently. What it has shown is in the documentation of the directory
// above.
package byhand
