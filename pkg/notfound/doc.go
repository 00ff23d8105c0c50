// Package notfound tells the two things apart that API servers answer with 404: that there is
// no such object, and that there is no such path. The second says nothing about an object:
// its version may not be served any more, or not yet.
package notfound
