// Package membership tests who comes, goes and is lost: nobody is sent to a
// cluster that is not there, and what was made for the mesh goes with it.
package membership
