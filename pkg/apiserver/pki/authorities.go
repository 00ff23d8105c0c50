package pki

import (
	"fmt"
	"time"
)

// CompleteAuthorities adds what is missing to the files of a directory of
// authorities that is kept elsewhere, in a Secret: ca.crt, ca.key,
// front-proxy-ca.crt, front-proxy-ca.key, sa.key and sa.pub. What is there is left
// as it is. Errors call the place name; ErrKeyLost is among them.
func CompleteAuthorities(name string, files map[string][]byte, now time.Time) error {
	for _, ca := range []string{"ca", "front-proxy-ca"} {
		if err := completeCA(name, ca, files, now); err != nil {
			return err
		}
	}
	return completeServiceAccount(name, files)
}

func completeCA(name, ca string, files map[string][]byte, now time.Time) error {
	cert, key := files[ca+".crt"], files[ca+".key"]
	switch {
	case len(cert) > 0 && len(key) > 0:
		pair, err := Parse(name+"/"+ca, cert, key)
		if err != nil {
			return err
		}
		return usable(pair, name+"/"+ca, now)
	case len(cert) > 0:
		return fmt.Errorf("%s/%s.crt is there but its key is not: put %s.key back; a new CA would cut off every agent: %w", name, ca, ca, ErrKeyLost)
	case len(key) > 0:
		return fmt.Errorf("%s/%s.key is there but its certificate is not: put %s.crt back; a new CA would cut off every agent: %w", name, ca, ca, ErrKeyLost)
	}
	pair, err := newCA(ca, now)
	if err != nil {
		return err
	}
	files[ca+".crt"], files[ca+".key"], err = pair.PEM()
	return err
}

func completeServiceAccount(name string, files map[string][]byte) error {
	if len(files["sa.key"]) == 0 {
		if len(files["sa.pub"]) > 0 {
			return fmt.Errorf("%s/sa.pub is there but its key is not: put sa.key back, or remove both and have every service account token issued anew: %w", name, ErrKeyLost)
		}
		_, keyPEM, err := newServiceAccountKey()
		if err != nil {
			return err
		}
		files["sa.key"] = keyPEM
	}
	key, err := parseKey(files["sa.key"])
	if err != nil {
		return fmt.Errorf("%s/sa.key: %w", name, err)
	}
	if len(files["sa.pub"]) == 0 {
		files["sa.pub"], err = publicPEM(key)
	}
	return err
}
