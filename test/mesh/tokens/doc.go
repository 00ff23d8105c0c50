// Package tokens tests that tokens with which peers read a cluster change while
// requests go on, and that the old ones are of no use afterwards.
package tokens
