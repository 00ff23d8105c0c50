package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// refuseWrites fails a test when anything but a status is written, until the returned
// function is called.
func (f *federation) refuseWrites(t *testing.T) (allow func()) {
	f.onWrite = func(w plan.Write) {
		t.Errorf("%s of %T %s/%s", w.Verb, w.Object, w.Object.GetNamespace(), w.Object.GetName())
	}
	return func() { f.onWrite = nil }
}

// TestUnusableExternal: whatever is wrong with the Secret, the condition names field,
// Secret and key, nothing is written, and the mesh goes on when it was put right.
func TestUnusableExternal(t *testing.T) {
	clusters := []string{"ap", "eu"}
	first, given := external(t, epoch, false, clusters...)
	_, second := external(t, epoch, false, clusters...)
	_, partly := external(t, epoch, false, "eu")
	_, ended := external(t, epoch.Add(-trust.RootLifetime), false, clusters...)
	_, signs := external(t, epoch, true)
	changed := func(data map[string][]byte, more map[string][]byte) map[string][]byte {
		data = maps.Clone(data)
		maps.Copy(data, more)
		return data
	}
	cases := map[string]struct {
		reason string
		data   map[string][]byte // nil for no Secret
		names  string
		links  bool // what is there does for some clusters
	}{
		"Missing":      {reason: "Somebody has deleted it.", names: "does not exist"},
		"Empty":        {reason: "It has nothing.", data: map[string][]byte{}, names: "root-cert.pem"},
		"NoPEM":        {reason: "It is no certificate.", data: changed(given, map[string][]byte{"root-cert.pem": []byte("x")}), names: "root-cert.pem"},
		"Ended":        {reason: "Nobody trusts it.", data: ended, names: "has ended on"},
		"OtherRoot":    {reason: "The intermediates are still those of the one before, so nothing can be signed under it.", data: changed(given, map[string][]byte{"root-cert.pem": second["root-cert.pem"]}), names: "ap.ca-cert.pem"},
		"OtherKey":     {reason: "Nothing signed with it would verify.", data: changed(given, map[string][]byte{"root-key.pem": signs["root-key.pem"]}), names: "root-key.pem"},
		"Partly":       {reason: "The new root has an intermediate for one of two.", data: partly, names: "ap.ca-cert.pem", links: true},
		"BrokenSigner": {reason: "It is seen before the one in use ends.", data: changed(given, map[string][]byte{"eu.ca-key.pem": []byte("x")}), names: "eu.ca-key.pem", links: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, clusters...)
			f.addMesh("mesh1", externally)
			tell := func() {
				t.Helper()
				if c := f.why("mesh1"); c.Reason != "ExternalCAUnusable" || !strings.Contains(c.Message, "spec.trust.secretRef: Secret karmada-system/ca ") || !strings.Contains(c.Message, tc.names) {
					t.Errorf("%s The condition is %+v", tc.reason, c)
				}
				if c := f.meshes["mesh1"].Status.Trust; c != nil && !strings.Contains(c.Message, tc.names) {
					t.Errorf("%s The status of the root is %+v", tc.reason, c)
				}
			}
			if !tc.links {
				if tc.data != nil {
					f.give(tc.data)
				}
				f.settle()
				if tc.names != "ap.ca-cert.pem" {
					tell()
				}
				for _, cluster := range clusters {
					if f.work(cluster, "mesh.mesh1.ca") != nil {
						t.Errorf("%s Cluster %s was given a CA", tc.reason, cluster)
					}
				}
				if f.secret("karmada-system", "mesh-trust-mesh1") != nil {
					t.Errorf("%s A root is in force", tc.reason)
				}
			}

			f.give(given)
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
			f.settle()
			allow := f.refuseWrites(t)
			if tc.data == nil {
				delete(f.objects, id(f.secret("karmada-system", "ca")))
			} else {
				f.give(tc.data)
			}
			f.settle()
			tell()
			for _, l := range f.meshes["mesh1"].Status.Links {
				if l.Phase != meshv1alpha1.LinkReady {
					t.Errorf("%s A link went: %+v", tc.reason, l)
				}
			}
			allow()
			f.give(second)
			f.until("both roots are trusted", func() bool { return f.ready("mesh1") && len(f.members["eu"].Effect().Roots) == 2 })
			if got := f.members["eu"].Effect().Signer; got != first.Fingerprint() {
				t.Errorf("%s %s signs", tc.reason, got)
			}
		})
	}
}

// TestRootThatEnds: when the root ends soon no intermediate can live longer than it, and
// none is made anew for that.
func TestRootThatEnds(t *testing.T) {
	f := newFederation(t, "ap", "eu")
	root, data := external(t, f.now, true)
	f.give(data)
	f.addMesh("mesh1", externally)
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.now = root.Certificate.NotAfter.Add(-100 * 24 * time.Hour)
	f.everybody()
	f.until("the last intermediates are there", func() bool {
		signer, _ := caOf(t, f.work("eu", "mesh.mesh1.ca"), f.now)
		return signer.Certificate.NotAfter.Equal(root.Certificate.NotAfter)
	})
	f.settle()
	f.onWrite = func(w plan.Write) {
		if w.Object.GetName() == "mesh.mesh1.ca" {
			t.Errorf("%s in %s", w.Verb, w.Object.GetNamespace())
		}
	}
	for _, left := range []time.Duration{40 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute} {
		f.now = root.Certificate.NotAfter.Add(-left)
		for range 3 {
			f.control("mesh1", -1)
		}
		if got := f.meshes["mesh1"].Status.Trust.Message; !strings.Contains(got, "put the next one into the Secret") {
			t.Errorf("%s before its end: %q", left, got)
		}
	}
}

// TestShortIntermediates: the shortest life that is allowed is not renewed all the time.
func TestShortIntermediates(t *testing.T) {
	f := newFederation(t, "ap", "eu")
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		spec.Trust.WorkloadCertificateLifetime.Duration, spec.Trust.IntermediateLifetime.Duration = 5*time.Minute, 20*time.Minute
	})
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.settle()
	made := map[trust.Fingerprint]bool{}
	f.onWrite = func(w plan.Write) {
		if _, ok := w.Object.(*corev1.Secret); !ok && w.Object.GetName() == "mesh.mesh1.ca" && w.Object.GetNamespace() == "karmada-es-eu" {
			signer, _ := caOf(t, f.workIn(w), f.now)
			made[signer.Fingerprint()] = true
		}
	}
	begin := f.now
	for f.now.Sub(begin) < time.Hour {
		f.everybody()
		f.now = f.now.Add(10 * time.Second)
		if !slices.ContainsFunc(f.meshes["mesh1"].Status.Links, func(l meshv1alpha1.MeshLink) bool { return l.Phase == meshv1alpha1.LinkReady }) {
			t.Fatal(f.explain())
		}
	}
	if n := len(made); n < 5 || n > 8 {
		t.Errorf("%d intermediates were made for eu in an hour, want one each 10 minutes", n)
	}
}

// TestForeignUnderTheRoot: a CA that a person has put into clusters is trusted when its
// root is named, and is never written.
func TestForeignUnderTheRoot(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	for _, name := range []string{"ap", "eu"} {
		f.members[name].Put(foreignCA())
		f.members[name].Restart(f.now)
	}
	f.give(map[string][]byte{"root-cert.pem": foreignData()["root-cert.pem"]})
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) { externally(spec); selecting("ap", "eu")(spec) })
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.settle()
	if c := f.condition("mesh1", "eu", meshv1alpha1.ConditionTrusted); c.Reason != "InEffect" || !strings.Contains(c.Message, "renews it") {
		t.Errorf("condition: %+v", c)
	}
	for _, name := range []string{"ap", "eu"} {
		if f.work(name, "mesh.mesh1.ca") != nil {
			t.Errorf("cluster %s was given a CA", name)
		}
	}
	// Another root waits for the person who has made the CAs.
	next, _ := external(t, f.now, true)
	f.give(map[string][]byte{"root-cert.pem": trust.Bundle(next.Certificate)})
	for range 6 {
		f.settle()
		f.now = f.now.Add(10 * time.Hour)
	}
	f.settle()
	if s := f.meshes["mesh1"].Status.Trust; s.Stage != "TrustBoth" || !strings.Contains(s.Message, "cluster ap: write root ") || !strings.Contains(s.Message, next.Fingerprint().Short()) {
		t.Errorf("trust: %+v", s)
	}
	if c := f.condition("mesh1", "eu", meshv1alpha1.ConditionTrusted); c.Status != metav1.ConditionTrue || c.Reason != trust.CATheirs {
		t.Errorf("condition: %+v", c)
	}
	f.edit("mesh1", selecting("ap", "eu", "us"))
	f.settle()
	if c := f.condition("mesh1", "us", meshv1alpha1.ConditionTrusted); c.Reason != "NoIntermediate" || !strings.Contains(c.Message, "root-key.pem") {
		t.Errorf("us has no CA: %+v", c)
	}
	if l := f.linkOf("mesh1", "ap", "eu"); l.Phase != meshv1alpha1.LinkReady {
		t.Errorf("link: %+v", l)
	}
}

// TestAnotherLifeUnderAnotherRoot: the roots of a Mesh outlive it. One of its name that is
// told another root has that at once, if no cluster has the one before.
func TestAnotherLifeUnderAnotherRoot(t *testing.T) {
	for name, keeps := range map[string]bool{"Gone": false, "Kept": true} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, "ap", "eu")
			first, data := external(t, f.now, true)
			f.give(data)
			f.addMesh("mesh1", externally)
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
			deleted := f.meshes["mesh1"].DeepCopy()
			deleted.DeletionTimestamp = &metav1.Time{Time: f.now}
			f.meshes["mesh1"] = deleted
			f.until("mesh1 is gone", func() bool { return f.meshes["mesh1"] == nil })
			if !keeps {
				for _, name := range []string{"ap", "eu"} {
					f.members[name].Remove("Secret", meshv1alpha1.IstioNamespace, trust.CACertsSecret)
					f.members[name].Restart(f.now)
				}
			}
			second, data := external(t, f.now, true)
			f.give(data)
			f.addMesh("mesh1", externally)
			f.until("mesh1 is ready again", func() bool { return f.ready("mesh1") })
			got, want := f.members["eu"].Effect().Roots, []trust.Fingerprint{second.Fingerprint()}
			if keeps {
				want = []trust.Fingerprint{first.Fingerprint(), second.Fingerprint()}
			}
			if !slices.Equal(got, want) {
				t.Errorf("in effect is %v, want %v", got, want)
			}
		})
	}
}

// TestExternalWithoutOneThatLeaves: a person takes what a cluster has in the Secret out of
// it when the cluster leaves, which is nothing to put right, however long that takes.
func TestExternalWithoutOneThatLeaves(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		selected []string
		want     string
	}{
		"Leaves": {"us is not to be in the mesh any more.", []string{"ap", "eu"}, ""},
		"Stays":  {"us works only as long as the one that it has lasts.", []string{"ap", "eu", "us"}, "ExternalCAUnusable"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, "ap", "eu", "us")
			_, data := external(t, f.now, false, "ap", "eu", "us")
			f.give(data)
			f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) { externally(spec); selecting("ap", "eu", "us")(spec) })
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
			f.edit("mesh1", selecting(tc.selected...))
			f.cut["ap"] = true // and does not let go of us
			maps.DeleteFunc(data, func(key string, _ []byte) bool { return strings.HasPrefix(key, "us.") })
			f.give(data)
			f.settle()
			c := f.why("mesh1")
			if told := c.Reason == "ExternalCAUnusable"; told != (tc.want != "") || told && !strings.Contains(c.Message, "cluster us") {
				t.Errorf("%s The condition is %+v", tc.reason, c)
			}
			if f.member("us", "mesh1") == nil || f.work("us", "mesh.mesh1.ca") == nil {
				t.Error("us has left")
			}
		})
	}
}

// TestGivenIntermediateThatReplacesOne: what a person puts into the Secret is taken, also when
// renewal is due and the one before ends with the root.
func TestGivenIntermediateThatReplacesOne(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		end    time.Duration // of the root, when the first intermediates are made
		left   time.Duration // of them, when the next come
	}{
		"NotDue":           {"It may have become known to somebody.", trust.RootLifetime, 300 * 24 * time.Hour},
		"Due":              {"It is what the condition asks for.", trust.RootLifetime, 24 * time.Hour},
		"EndsWithRoot":     {"It may have become known to somebody.", 100 * 24 * time.Hour, 90 * 24 * time.Hour},
		"EndsWithRoot,Due": {"It may have become known to somebody.", 100 * 24 * time.Hour, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, "ap", "eu")
			root, keys := external(t, f.now, true)
			f.now = root.Certificate.NotAfter.Add(-tc.end)
			f.give(intermediates(t, root, keys, f.now, "ap", "eu"))
			f.addMesh("mesh1", externally)
			for _, name := range []string{"ap", "eu"} {
				f.heard(name, metav1.ConditionTrue)
			}
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
			first, _ := caOf(t, f.work("eu", "mesh.mesh1.ca"), f.now)
			f.now = first.Certificate.NotAfter.Add(-tc.left)
			f.give(intermediates(t, root, keys, f.now, "ap", "eu"))
			f.settle()
			next, _ := caOf(t, f.work("eu", "mesh.mesh1.ca"), f.now)
			if next.Fingerprint() == first.Fingerprint() {
				t.Errorf("%s eu has the one from before:\n%s", tc.reason, f.explain())
			}
			writes := f.writes
			f.everybody()
			if f.writes != writes {
				t.Errorf("%s It is written again and again", tc.reason)
			}
		})
	}
}

// intermediates are the data of a Secret with some under a root, and without its key.
func intermediates(t *testing.T, root *trust.Authority, of map[string][]byte, now time.Time, clusters ...string) map[string][]byte {
	data := map[string][]byte{trust.RootCertKey: of[trust.RootCertKey]}
	for _, name := range clusters {
		signer, err := trust.NewIntermediate(root, certified, name, now, trust.IntermediateLifetime)
		if err != nil {
			t.Fatal(err)
		}
		roots, err := trust.NewStore(root).Trusted()
		if err != nil {
			t.Fatal(err)
		}
		files, err := trust.CACerts(signer, roots, now)
		if err != nil {
			t.Fatal(err)
		}
		for key, text := range files {
			if key != trust.RootCertKey {
				data[name+"."+key] = text
			}
		}
	}
	return data
}
