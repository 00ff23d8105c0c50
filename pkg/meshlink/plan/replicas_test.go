package plan_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// says has the agent of a cluster report something else than what it sees, and the
// controller look.
func (f *federation) says(cluster string, change func(*meshv1alpha1.MeshMemberStatus)) {
	f.t.Helper()
	member := f.member(cluster, "mesh1").DeepCopy()
	change(&member.Status)
	f.put(member)
	f.control("mesh1", -1)
}

func (f *federation) trouble(kind, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(f.now)}
}

// TestIstiodsThatAreSilent: while an istiod is started again links stay ready, and a
// minute later they are not.
func TestIstiodsThatAreSilent(t *testing.T) {
	for name, silence := range map[string]func(*meshv1alpha1.MeshMemberStatus){
		"All":  func(s *meshv1alpha1.MeshMemberStatus) { s.Istiod, s.CA = nil, nil },
		"Some": func(s *meshv1alpha1.MeshMemberStatus) { s.CA = nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.settle()
			f.says("eu", func(s *meshv1alpha1.MeshMemberStatus) {
				silence(s)
				meta.SetStatusCondition(&s.Conditions, f.trouble(meshv1alpha1.ConditionIstiodAnswers, "SomeSilent", "istiod-b does not answer"))
				meta.SetStatusCondition(&s.Conditions, f.trouble(meshv1alpha1.ConditionCASigns, "SomeSilent", "istiod-b does not answer"))
			})
			defer f.refuseWrites(t)()
			for _, pair := range [][2]string{{"eu", "ap"}, {"ap", "eu"}} {
				if l := f.linkOf("mesh1", pair[0], pair[1]); l.Phase != meshv1alpha1.LinkReady {
					t.Errorf("just silent: %+v", l)
				}
			}
			if c := f.why("mesh1"); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "cluster eu") || !strings.Contains(c.Message, "istiod-b") {
				t.Errorf("the Mesh does not tell which istiod it is: %+v", c)
			}
			if at := f.last.Again; at.IsZero() || at.After(f.now.Add(time.Minute)) {
				t.Errorf("looked at again at %s", at)
			}
			f.now = f.now.Add(time.Minute)
			f.control("mesh1", -1)
			for _, pair := range [][2]string{{"eu", "ap"}, {"ap", "eu"}} {
				if l := f.linkOf("mesh1", pair[0], pair[1]); l.Phase != meshv1alpha1.LinkPending || !strings.Contains(l.Message, "istiod-b") {
					t.Errorf("silent for a minute: %+v", l)
				}
			}
		})
	}
}

// TestIstiodsThatDiffer: one of several has not loaded what the others have.
func TestIstiodsThatDiffer(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	old := f.member("eu", "mesh1").Status.CA.DeepCopy()
	differ := func(s *meshv1alpha1.MeshMemberStatus) {
		s.CA = old.DeepCopy()
		meta.SetStatusCondition(&s.Conditions, f.trouble(meshv1alpha1.ConditionCASigns, "Differ", "istiod-b is behind"))
	}
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	f.settle()
	f.says("eu", differ)
	if s := f.meshes["mesh1"].Status.Trust; s.Stage != "TrustBoth" || !strings.Contains(s.Message, "cluster eu: istiod-b is behind") {
		t.Errorf("trust: %+v", s)
	}
	if c := f.condition("mesh1", "eu", meshv1alpha1.ConditionTrusted); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "istiod-b is behind") {
		t.Errorf("they trust each other at this step: %+v", c)
	}
	if l := f.linkOf("mesh1", "ap", "eu"); l.Phase != meshv1alpha1.LinkReady {
		t.Errorf("link: %+v", l)
	}
	f.says("eu", func(s *meshv1alpha1.MeshMemberStatus) { differ(s); s.CA.Roots = []string{"sha256:another"} })
	if c := f.condition("mesh1", "eu", meshv1alpha1.ConditionTrusted); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "istiod-b is behind") {
		t.Errorf("under another root it is not trusted: %+v", c)
	}
}

// TestSecretsWithheld: where peers may not read Secrets, what istiod says of it has
// another way out than what else it says so of.
func TestSecretsWithheld(t *testing.T) {
	for _, secrets := range []meshv1alpha1.MeshSecretAccess{meshv1alpha1.SecretsNone, meshv1alpha1.SecretsRead} {
		t.Run(string(secrets), func(t *testing.T) {
			f := ready3(t, func(spec *meshv1alpha1.MeshSpec) { spec.RemoteAccess.Secrets = secrets })
			f.settle()
			withheld := secrets == meshv1alpha1.SecretsNone
			timeout := func(s *meshv1alpha1.MeshMemberStatus) {
				for i := range s.Peers {
					for j := range s.Peers[i].Proofs {
						if p := &s.Peers[i].Proofs[j]; p.Step == meshv1alpha1.StepSynced {
							p.Passed, p.Reason, p.Message, p.Since = false, "Timeout", "its state is timeout", &metav1.Time{Time: f.now.Add(-time.Hour)}
						}
					}
				}
			}
			f.says("eu", timeout)
			l := f.linkOf("mesh1", "eu", "ap")
			if l.Step != meshv1alpha1.StepSynced || (l.Reason == "SecretsWithheld") != withheld || strings.Contains(l.Message, "write spec.remoteAccess.secrets: Read") != withheld {
				t.Errorf("link: %+v", l)
			}
			f.says("eu", func(s *meshv1alpha1.MeshMemberStatus) { s.Istiod = nil })
			l = f.linkOf("mesh1", "eu", "ap")
			if l.Step != meshv1alpha1.StepMember || strings.Contains(f.why("mesh1").Message, "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=false") != withheld {
				t.Errorf("link: %+v, mesh: %s", l, f.why("mesh1").Message)
			}
		})
	}
}
