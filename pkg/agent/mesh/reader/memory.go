package reader

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Label of a Secret that a token is bound to; its value is the mesh.
const Label = "mesh.flotilla.io/reader-token-of"

// Annotations of a Secret that a token is bound to.
const (
	hashAnnotation      = "mesh.flotilla.io/token"
	issuedAnnotation    = "mesh.flotilla.io/token-issued"
	lifeAnnotation      = "mesh.flotilla.io/token-life"
	endsAnnotation      = "mesh.flotilla.io/token-ends"
	askedAnnotation     = "mesh.flotilla.io/token-asked"
	forAnnotation       = "mesh.flotilla.io/token-for"
	renewedAnnotation   = "mesh.flotilla.io/token-renewed-after"
	deliveredAnnotation = "mesh.flotilla.io/token-delivered"
)

// annotations are what is remembered of a token that was made.
func (t *Token) annotations() map[string]string {
	return map[string]string{
		hashAnnotation: t.Hash, issuedAnnotation: stamp(t.Issued), lifeAnnotation: t.Life.String(), endsAnnotation: stamp(t.Ends),
		askedAnnotation: t.Asked.String(), forAnnotation: t.For, renewedAnnotation: stamp(t.Renewed),
	}
}

// tokens are what is remembered. What cannot be read is as if it was not there: a token
// without its life has ended.
func tokens(bound []metav1.PartialObjectMetadata) []Token {
	all := make([]Token, 0, len(bound))
	for i := range bound {
		s := &bound[i]
		at := func(annotation string) time.Time {
			t, err := time.Parse(time.RFC3339Nano, s.Annotations[annotation])
			if err != nil {
				return time.Time{}
			}
			return t
		}
		long := func(annotation string) time.Duration {
			d, err := time.ParseDuration(s.Annotations[annotation])
			if err != nil {
				return 0
			}
			return d
		}
		all = append(all, Token{
			Secret: s.Name, Created: s.CreationTimestamp.Time, Hash: s.Annotations[hashAnnotation],
			Issued: at(issuedAnnotation), Life: long(lifeAnnotation), Ends: at(endsAnnotation),
			Asked: long(askedAnnotation), For: s.Annotations[forAnnotation], Renewed: at(renewedAnnotation),
			Delivered: s.Annotations[deliveredAnnotation] == "true",
		})
	}
	return all
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
