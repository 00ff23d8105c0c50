// Package external tests meshes whose CA comes from a person (spec.trust.mode
// External), and that intermediates are renewed, while requests go on. Lives are as
// short as the API allows.
package external
