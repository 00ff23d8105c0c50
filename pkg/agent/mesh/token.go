package mesh

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/reader"
)

// tokenSeen is the token that peers read the cluster with.
type tokenSeen struct {
	generation int64
	token      *meshv1alpha1.MemberToken
	// left is true when there is none, and none was wanted.
	left bool
	made trouble
}

// lookAtToken makes and ends tokens.
func (w *worker) lookAtToken(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	want := object.Spec.Reader
	if object.Spec.Leaving {
		want = nil
	}
	token, at, err := w.keeper.Keep(ctx, want)
	if ctx.Err() != nil {
		return outcome{}
	}
	if want == nil && err != nil || errors.Is(err, reader.ErrUnseen) {
		token = w.tokenBefore(object) // it may be valid still
	}
	next := &tokenSeen{generation: object.Generation, token: token, left: want == nil && err == nil}
	switch {
	case err == nil:
	case errors.Is(err, reader.ErrNoAccount):
		next.made = trouble{"NoServiceAccount", err.Error()}
	case errors.Is(err, reader.ErrNoServer):
		next.made = trouble{"NoServer", err.Error()}
	case errors.Is(err, reader.ErrUseless):
		next.made = trouble{"NotUsable", err.Error()}
	case errors.Is(err, errNoCA):
		next.made = trouble{"NoCA", err.Error()}
	case apierrors.IsForbidden(err):
		next.made = trouble{"Forbidden", err.Error()}
	default:
		next.made = trouble{"NotMade", err.Error()}
	}
	return outcome{missing: err != nil, news: w.saw(func(s *seen) { s.token = next }), at: at}
}

// tokenBefore is the token that was seen last, by this agent or the one before it.
func (w *worker) tokenBefore(object *meshv1alpha1.MeshMember) *meshv1alpha1.MemberToken {
	if before := w.view().token; before != nil {
		return before.token
	}
	return object.Status.Token
}

// admitted is a federation that gets a token only while it is the agent's own: another may
// have come in the place of it, at the same URL.
type admitted struct {
	reader.Federation

	admit func(context.Context) error
}

// Put implements reader.Federation.
func (f *admitted) Put(ctx context.Context, data map[string][]byte) error {
	if err := f.admit(ctx); err != nil {
		return err
	}
	return f.Federation.Put(ctx, data)
}
