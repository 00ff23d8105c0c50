// Package ports gives tests ports on which a server is started later, maybe by another
// process, and maybe again.
//
// They are below the range from which the system gives ports away, so that nobody else gets
// one between the moment it was found free and the moment it is used; and below those of
// playgrounds, which are 21000 to 29999.
package ports
