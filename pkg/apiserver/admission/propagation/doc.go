// Package propagation is the admission plugin that makes objects templates.
//
// On create and update it looks the policies up in memory and stamps the claim
// of the one that wins, in the same write. It is authoritative: what a client
// sends as a claim is replaced by what the policies say, so that nobody can
// take or lose a template by editing a label, and an update that leaves the
// marks out (kubectl replace) does not end the claim. A policy that another API
// server knows before this one does is looked for once more a moment later, and
// its controller stamps again until it finds its claim stored.
//
// It also refuses to delete templates that are protected from deletion, and
// warns about policies that name clusters which do not exist.
package propagation
