// Package restore tests what members do when the federation forgets: its data
// are replaced by an old copy, or by none.
package restore
