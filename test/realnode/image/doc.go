// Package image writes container images of one static binary, for workloads of
// tests. Flotilla's own images are made by make images.
package image
