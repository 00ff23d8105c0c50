// Package push types the first steps of the tutorial where the federation
// connects to the members.
package push
