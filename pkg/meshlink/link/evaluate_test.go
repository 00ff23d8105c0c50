package link

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const hold = 5 * time.Minute

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func healthyCluster(name, network string) *Cluster {
	expires := epoch.Add(time.Hour)
	address := []meshv1alpha1.GatewayAddress{{Address: "203.0.113.7", Port: 15443}}
	return &Cluster{
		Name: name, Network: network, CA: CAInEffect, Addresses: address, TokenExpires: &expires,
		Status: &meshv1alpha1.MeshMemberStatus{
			Istiod:  &meshv1alpha1.MemberIstiod{Version: "1.31.1", ClusterID: name},
			Network: network, CACerts: &meshv1alpha1.MemberCACerts{Exists: true},
			Gateway: &meshv1alpha1.MemberGatewayStatus{Addresses: address},
		},
	}
}

// healthyPair is a link of two networks that is there and proven.
func healthyPair() *Pair {
	p := &Pair{From: healthyCluster("eu", "network-eu"), To: healthyCluster("ap", "network-ap"), Written: true, SecretHash: "sha256:1"}
	p.From.Status.Peers = []meshv1alpha1.MemberPeerStatus{{Name: "us"}, {Name: "ap", SecretHash: "sha256:1", Proofs: []meshv1alpha1.Proof{
		{Step: meshv1alpha1.StepProbe, Passed: true},
		{Step: meshv1alpha1.StepSynced, Passed: true},
		{Step: meshv1alpha1.StepGatewayKnown, Passed: true},
		{Step: meshv1alpha1.StepEndpoints, Passed: true},
	}}}
	return p
}

func healthyFlatPair() *Pair {
	p := healthyPair()
	p.To.Network, p.To.Status.Network = "network-eu", "network-eu"
	p.To.Addresses, p.To.Status.Gateway, p.To.GatewayMessage = nil, nil, ""
	seen := &p.From.Status.Peers[1]
	seen.Proofs = []meshv1alpha1.Proof{{Step: meshv1alpha1.StepSynced, Passed: true}, {Step: meshv1alpha1.StepEndpoints, Passed: true}}
	return p
}

func fail(p *Pair, step meshv1alpha1.LinkStep, ago time.Duration) {
	seen := &p.From.Status.Peers[1]
	for i := range seen.Proofs {
		if seen.Proofs[i].Step == step {
			seen.Proofs[i] = meshv1alpha1.Proof{Step: step, Message: "what was seen", Since: &metav1.Time{Time: epoch.Add(-ago)}}
		}
	}
}

func ago(d time.Duration) *time.Time { t := epoch.Add(-d); return &t }

func TestEvaluate(t *testing.T) {
	const pending, ready, gone = meshv1alpha1.LinkPending, meshv1alpha1.LinkReady, meshv1alpha1.LinkWithdrawn
	cases := map[string]struct {
		reason string
		change func(*Pair)
		phase  meshv1alpha1.LinkPhase
		step   meshv1alpha1.LinkStep
		why    string
		kept   bool // the remote secret stays where it is
		made   bool // and is made where it is not
		tells  string
	}{
		"Healthy": {reason: "Every step is there.", change: func(*Pair) {}, phase: ready, kept: true, made: true},

		"NotReported":    {reason: "Nothing is known of ap.", change: func(p *Pair) { p.To.Status = nil }, phase: pending, step: "Member", why: "NotReported", kept: true, tells: "agent of cluster ap"},
		"NoIstiod":       {reason: "It may restart.", change: func(p *Pair) { p.From.Status.Istiod = nil }, phase: pending, step: "Member", why: "NoIstiod", kept: true, tells: "cluster eu"},
		"WrongClusterID": {reason: "Endpoints of two clusters would be mixed up.", change: func(p *Pair) { p.To.Status.Istiod.ClusterID = "Kubernetes" }, phase: pending, step: "Member", why: "WrongClusterID", tells: "multiCluster.clusterName"},
		"NoClusterID":    {reason: "istiod has not answered yet.", change: func(p *Pair) { p.To.Status.Istiod.ClusterID = "" }, phase: pending, step: "Member", why: "ClusterIDUnknown", kept: true},
		"OldIstiod":      {reason: "It would lose ap with the next token.", change: func(p *Pair) { p.From.VersionMessage = "istiod is 1.30.2" }, phase: pending, step: "Member", why: "IstiodTooOld", kept: true, tells: "1.30.2"},
		"OtherMesh":      {reason: "Two Meshes want ap.", change: func(p *Pair) { p.To.Claim = "cluster ap is in Mesh mesh2" }, phase: pending, step: "Member", why: "NotOurs", tells: "mesh2"},

		"CAUnknown":  {reason: "Nothing was reported.", change: func(p *Pair) { p.From.CA = CAUnknown }, phase: pending, step: "CA", why: "CAUnknown", kept: true},
		"CAWrong":    {reason: "Every handshake would fail.", change: func(p *Pair) { p.To.CA, p.To.CAMessage = CAWrong, "restart istiod" }, phase: pending, step: "CA", why: "CANotInEffect", tells: "restart istiod"},
		"CAChanging": {reason: "The root is being changed: calls go on, new links wait.", change: func(p *Pair) { p.To.CA = CAChanging }, phase: ready, kept: true},

		"NoLabel":     {reason: "Istio would take all networks for one.", change: func(p *Pair) { p.To.Status.Network = "" }, phase: pending, step: "Network", why: "WrongNetwork", tells: "topology.istio.io/network"},
		"NoLabelFrom": {reason: "The same on the caller's side.", change: func(p *Pair) { p.From.Status.Network = "other" }, phase: pending, step: "Network", why: "WrongNetwork", tells: "cluster eu"},

		"GatewayRefused": {reason: "The member would not take the Service.", change: func(p *Pair) {
			p.To.GatewayMessage, p.To.Status.Gateway, p.To.Addresses = "Service istio-eastwestgateway is owned by helm", nil, nil
		}, phase: pending, step: "Gateway", why: "GatewayNotMade", tells: "owned by helm"},
		"Unlooked": {reason: "The agent reports one thing after another.", change: func(p *Pair) {
			p.To.Status = &meshv1alpha1.MeshMemberStatus{Istiod: p.To.Status.Istiod, Regions: []string{"r1"}}
		}, phase: pending, step: "Network", why: "NotReported", kept: true},
		"RefusedUnlooked":  {reason: "The same with a gateway that was refused.", change: func(p *Pair) { p.To.GatewayMessage, p.To.Status.CACerts = "no quota", nil }, phase: pending, step: "Gateway", why: "GatewayNotMade", kept: true},
		"ClockAhead":       {reason: "What fails since hours to come does not fail just now.", change: func(p *Pair) { p.Ready = true; fail(p, meshv1alpha1.StepProbe, -3*time.Hour) }, phase: pending, step: "Probe", why: "ProbeFailed", kept: true},
		"ClockAheadSynced": {reason: "The same of what istiod says.", change: func(p *Pair) { p.Ready = true; fail(p, meshv1alpha1.StepSynced, -3*time.Hour) }, phase: pending, step: "Synced", why: "NotProven", kept: true, made: true},
		"ClockLittleAhead": {reason: "Clocks are never quite the same.", change: func(p *Pair) { p.Ready = true; fail(p, meshv1alpha1.StepSynced, -30*time.Second) }, phase: ready, kept: true, made: true},
		"RefusedUnseen":    {reason: "What is in the member is not known, and may work.", change: func(p *Pair) { p.To.GatewayMessage, p.To.Status = "no quota", nil }, phase: pending, step: "Member", why: "NotReported", kept: true},
		"PartRefused":      {reason: "A gateway that works is not given up for a PodDisruptionBudget.", change: func(p *Pair) { p.To.GatewayMessage = "no quota" }, phase: pending, step: "Gateway", why: "GatewayNotMade", tells: "no quota", kept: true},
		"NoGateway": {reason: "Peers would be given addresses of pods.", change: func(p *Pair) {
			p.To.Status.Gateway, p.To.Addresses, p.To.GatewayOrigin = nil, nil, "istiod makes it"
		}, phase: pending, step: "Gateway", why: "NoGateway", tells: "istiod makes it"},
		"NoAddress":   {reason: "So they would here.", change: func(p *Pair) { p.To.Addresses, p.To.Status.Gateway.Message = nil, "look at its events" }, phase: pending, step: "Address", why: "NoAddress", tells: "look at its events"},
		"NotProbed":   {reason: "Nobody has tried.", change: func(p *Pair) { p.From.Status.Peers[1].Proofs = p.From.Status.Peers[1].Proofs[1:] }, phase: pending, step: "Probe", why: "NotProbed", kept: true},
		"ProbeFails":  {reason: "One failed probe is no reason to withdraw.", change: func(p *Pair) { fail(p, meshv1alpha1.StepProbe, hold-time.Second) }, phase: pending, step: "Probe", why: "ProbeFailed", kept: true, tells: "what was seen"},
		"ProbeFailed": {reason: "After the hold time it is.", change: func(p *Pair) { fail(p, meshv1alpha1.StepProbe, hold) }, phase: pending, step: "Probe", why: "ProbeFailed"},

		"NoToken":     {reason: "The agent of ap has not made one.", change: func(p *Pair) { p.To.TokenExpires, p.To.TokenMessage = nil, "no right" }, phase: pending, step: "Token", why: "NoToken", kept: true, tells: "no right"},
		"TokenEnded":  {reason: "istiod goes on with what it knows for a while.", change: func(p *Pair) { p.To.TokenExpires = ago(hold - time.Second) }, phase: pending, step: "Token", why: "TokenEnded", kept: true},
		"TokenIsOver": {reason: "What it knows is too old.", change: func(p *Pair) { p.To.TokenExpires = ago(hold) }, phase: pending, step: "Token", why: "TokenEnded"},

		"NoSecret":     {reason: "The Work has not arrived.", change: func(p *Pair) { p.From.Status.Peers[1].SecretHash = "" }, phase: pending, step: "Secret", why: "SecretNotThere", kept: true, made: true},
		"OlderSecret":  {reason: "The token has just changed.", change: func(p *Pair) { p.SecretHash = "sha256:2" }, phase: pending, step: "Secret", why: "SecretOutdated", kept: true, made: true},
		"NotSynced":    {reason: "istiod cannot read ap.", change: func(p *Pair) { fail(p, meshv1alpha1.StepSynced, time.Hour) }, phase: pending, step: "Synced", why: "NotProven", kept: true, made: true, tells: "what was seen"},
		"GatewayUnmet": {reason: "istiod has not found the Service.", change: func(p *Pair) { fail(p, meshv1alpha1.StepGatewayKnown, time.Hour) }, phase: pending, step: "GatewayKnown", why: "NotProven", kept: true, made: true},
		"PodIPs":       {reason: "Endpoints are pods nobody reaches.", change: func(p *Pair) { fail(p, meshv1alpha1.StepEndpoints, time.Hour) }, phase: pending, step: "Endpoints", why: "NotProven", kept: true, made: true},

		"JustLost":      {reason: "A connection breaks now and then.", change: func(p *Pair) { p.To.Lost = ago(hold - time.Second) }, phase: pending, step: "Member", why: "ClusterLost", kept: true},
		"Lost":          {reason: "istiod alone would keep its endpoints for ever.", change: func(p *Pair) { p.To.Lost = ago(hold) }, phase: gone, step: "Member", why: "ClusterLost", tells: "comes back by itself"},
		"FromLost":      {reason: "Nothing in eu can be changed now, so nothing is.", change: func(p *Pair) { p.From.Lost = ago(24 * time.Hour) }, phase: pending, step: "Member", why: "ClusterLost", kept: true},
		"ToLeaves":      {reason: "Its peers let go of it first.", change: func(p *Pair) { p.To.Leaving = true }, phase: gone, step: "Member", why: "Leaving"},
		"FromLeaves":    {reason: "It is not of the mesh any more.", change: func(p *Pair) { p.From.Leaving = true }, phase: gone, step: "Member", why: "Leaving"},
		"Itself":        {reason: "istiod has itself.", change: func(p *Pair) { p.To = p.From }, phase: gone, step: "Member", why: "SameCluster"},
		"FirstCounts":   {reason: "The first step that is missing is told.", change: func(p *Pair) { p.To.CA = CAUnknown; p.To.TokenExpires = nil }, phase: pending, step: "CA", why: "CAUnknown", kept: true},
		"WorstActs":     {reason: "A later step can be the worse one.", change: func(p *Pair) { p.To.CA = CAUnknown; p.To.Addresses = nil }, phase: pending, step: "CA", why: "CAUnknown"},
		"BothLost":      {reason: "eu would only hear of it when it is back.", change: func(p *Pair) { p.From.Lost, p.To.Lost = ago(24*time.Hour), ago(24*time.Hour) }, phase: pending, step: "Member", why: "ClusterLost", kept: true},
		"JustBack":      {reason: "The other one gets the hold time, too, to come back.", change: func(p *Pair) { p.From.Heard, p.To.Lost = *ago(time.Minute), ago(24*time.Hour) }, phase: pending, step: "Member", why: "ClusterLost", kept: true},
		"Disrupted":     {reason: "Most clusters are lost: it is rather the federation that is.", change: func(p *Pair) { p.Disrupted, p.To.Lost = true, ago(24*time.Hour) }, phase: pending, step: "Member", why: "ClusterLost", kept: true},
		"WrongAndLost":  {reason: "Nothing is taken from a cluster that would not hear of it.", change: func(p *Pair) { p.From.Lost, p.To.Addresses = ago(time.Hour), nil }, phase: pending, step: "Member", why: "ClusterLost", kept: true},
		"EndedWhileCut": {reason: "Its agent makes one as soon as it is back.", change: func(p *Pair) { p.To.Heard, p.To.TokenExpires = *ago(time.Second), ago(time.Hour) }, phase: pending, step: "Token", why: "TokenEnded", kept: true},

		"Renewing": {reason: "The one before is valid until all use the new one.", change: func(p *Pair) {
			p.Ready, p.InUse, p.SecretHash = true, []string{p.SecretHash}, "sha256:new"
		}, phase: ready, kept: true, made: true},
		"RenewedNew": {reason: "A link that was not ready is not because of that.", change: func(p *Pair) {
			p.InUse, p.SecretHash = []string{p.SecretHash}, "sha256:new"
		}, phase: pending, step: "Secret", why: "SecretOutdated", kept: true, made: true},
		"SyncsAgain": {reason: "istiod says so for a moment when the secret changes.", change: func(p *Pair) { p.Ready = true; fail(p, meshv1alpha1.StepSynced, time.Second) }, phase: ready, kept: true, made: true},
		"ProbeOnce":  {reason: "One failed probe is no reason to say so.", change: func(p *Pair) { p.Ready = true; fail(p, meshv1alpha1.StepProbe, time.Second) }, phase: ready, kept: true},
		"SyncsLong":  {reason: "A minute is no moment.", change: func(p *Pair) { p.Ready = true; fail(p, meshv1alpha1.StepSynced, grace) }, phase: pending, step: "Synced", why: "NotProven", kept: true, made: true},
		"Restarts":   {reason: "istiod is started again; proxies have what they need.", change: func(p *Pair) { p.Ready, p.From.Status.Istiod, p.From.Silent = true, nil, *ago(time.Second) }, phase: ready, kept: true},
		"RestartsCA": {reason: "Nor is it known what the called one signs with then.", change: func(p *Pair) { p.Ready, p.To.CA, p.To.Silent = true, CAUnknown, *ago(time.Second) }, phase: ready, kept: true},
		"SilentLong": {reason: "A minute is no restart.", change: func(p *Pair) { p.Ready, p.From.Status.Istiod, p.From.Silent = true, nil, *ago(grace) }, phase: pending, step: "Member", why: "NoIstiod", kept: true},
		"UnknownCA":  {reason: "Nor is it for the CA.", change: func(p *Pair) { p.Ready, p.To.CA, p.To.Silent = true, CAUnknown, *ago(grace) }, phase: pending, step: "CA", why: "CAUnknown", kept: true},
		"NotYet":     {reason: "A link that was never ready waits for istiod.", change: func(p *Pair) { p.From.Status.Istiod, p.From.Silent = nil, *ago(time.Second) }, phase: pending, step: "Member", why: "NoIstiod", kept: true},
		"WrongAgain": {reason: "What istiod says with another CLUSTER_ID counts at once.", change: func(p *Pair) {
			p.Ready, p.From.Status.Istiod.ClusterID, p.From.Silent = true, "Kubernetes", *ago(time.Second)
		}, phase: pending, step: "Member", why: "WrongClusterID"},
		"NotApplied": {reason: "The member says why.", change: func(p *Pair) { p.SecretMessage = "belongs to somebody" }, phase: pending, step: "Secret", why: "SecretNotApplied", kept: true, made: true, tells: "belongs to somebody"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := healthyPair()
			tc.change(p)
			got := Evaluate(p, hold, epoch)
			if got.Phase != tc.phase || got.Step != tc.step || got.Reason != tc.why {
				t.Errorf("%s Got %s %s %s: %s", tc.reason, got.Phase, got.Step, got.Reason, got.Message)
			}
			if got.Secret != tc.kept {
				t.Errorf("%s With the remote secret there: %v, want %v", tc.reason, got.Secret, tc.kept)
			}
			if (got.Message == "") != (tc.step == "") || !strings.Contains(got.Message, tc.tells) {
				t.Errorf("%s The message does not tell %q: %q", tc.reason, tc.tells, got.Message)
			}
			p.Written = false
			if got := Evaluate(p, hold, epoch); got.Secret != tc.made {
				t.Errorf("%s Without it: %v, want %v", tc.reason, got.Secret, tc.made)
			}
		})
	}
}

func TestEvaluateFlat(t *testing.T) {
	p := healthyFlatPair()
	if got := Evaluate(p, hold, epoch); got.Phase != meshv1alpha1.LinkReady || !got.Secret {
		t.Errorf("one network needs no gateway: %+v", got)
	}
	p.To.Status.Network = ""
	if got := Evaluate(p, hold, epoch); got.Step != meshv1alpha1.StepNetwork || got.Secret {
		t.Errorf("the label is needed in one network too: %+v", got)
	}
}

func TestRecheck(t *testing.T) {
	p := healthyPair()
	if got := Evaluate(p, hold, epoch); got.Recheck != nil {
		t.Errorf("nothing changes by itself: %s", got.Recheck)
	}
	fail(p, meshv1alpha1.StepProbe, time.Minute)
	got := Evaluate(p, hold, epoch)
	if want := epoch.Add(hold - time.Minute); got.Recheck == nil || !got.Recheck.Equal(want) {
		t.Errorf("recheck at %v, want %s", got.Recheck, want)
	}
	p.To.Lost = ago(2 * time.Minute)
	got = Evaluate(p, hold, epoch)
	if want := epoch.Add(hold - 2*time.Minute); got.Recheck == nil || !got.Recheck.Equal(want) {
		t.Errorf("the earlier counts: recheck at %v, want %s", got.Recheck, want)
	}
}

func TestWanted(t *testing.T) {
	if diff := cmp.Diff([]Ordered{{"ap", "eu"}, {"ap", "us"}, {"eu", "ap"}, {"eu", "us"}, {"us", "ap"}, {"us", "eu"}}, All([]string{"eu", "us", "ap"})); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	placed := []Placed{
		{Namespace: "shop", Clusters: []string{"eu", "ap"}},
		{Namespace: "blog", Clusters: []string{"ap", "eu", "elsewhere"}},
		{Namespace: "wiki", Clusters: []string{"us"}},
	}
	if diff := cmp.Diff([]Ordered{{"ap", "eu"}, {"eu", "ap"}}, ByPlacement([]string{"eu", "us", "ap"}, placed)); diff != "" {
		t.Errorf("by placement (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ap", "eu", "elsewhere"}, placed[1].Clusters); diff != "" {
		t.Errorf("the input was changed:\n%s", diff)
	}
}
