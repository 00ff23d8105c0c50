// Package remotesecret is about how the istiod of one cluster reads Services and
// endpoints of another, its peer: the reader that the peer has for it, the Secret
// with the reader's token, and the change of that token.
//
// The reader may see what a remote istiod (1.31) watches and nothing more, which is
// less than Istio's own reader may. Secrets are among it: istiod waits for them and
// never says synced without, and then keeps a connection for each token that it was
// ever given. Where all istiods can do without (MeshSecretAccess), the reader does
// not get them.
//
// A token has an end. The agent of the peer makes another at half of its life; the
// new one is written to all readers and the one before stays valid until each has
// shown that it is synced with the new one (Rotate). Invariant: a token that an
// istiod uses is not ended before it ends by itself.
//
// Everything is a pure function; nothing reads a clock. Values with a Token in
// them are secret: they have no String method on purpose and are not to be logged.
package remotesecret
