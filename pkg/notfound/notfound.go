package notfound

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Path says whether a server does not know the path that it was asked for: no registry has
// answered, only the router.
func Path(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// Object says whether a server has looked for an object, and there is none.
func Object(err error) bool { return apierrors.IsNotFound(err) && !Path(err) }
