// Package tutorial types the tutorial, command by command, with the files of
// docs/tutorial, so that neither can go stale.
package tutorial
