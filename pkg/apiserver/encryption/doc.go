// Package encryption keeps Secrets unreadable for whoever gets hold of etcd's data
// or of a backup of it, without the key.
//
// The key is in a file of Kubernetes' own format, EncryptionConfiguration
// (apiserver.config.k8s.io/v1), so everything that format can do is possible:
// further keys, other kinds of objects, a KMS. A new federation gets one with a
// random key and the provider secretbox (XSalsa20 and Poly1305); the provider
// identity comes last, so that what was written before there was a key is readable.
//
// A file is never made while the datastore has something encrypted in it: nobody
// could read that any more, and the loss would show late.
package encryption
