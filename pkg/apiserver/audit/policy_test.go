package audit

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func TestPolicy(t *testing.T) {
	loaded, err := policy.LoadPolicyFromBytes(Policy)
	require.NoError(t, err)
	evaluator := policy.NewPolicyRuleEvaluator(loaded)
	for _, rule := range loaded.Rules {
		assert.Contains(t, []auditinternal.Level{auditinternal.LevelNone, auditinternal.LevelMetadata}, rule.Level, "never what is in an object")
	}

	jane := &user.DefaultInfo{Name: "jane", Groups: []string{"system:authenticated"}}
	agent := &user.DefaultInfo{Name: "system:cluster:eu", Groups: []string{"system:clusters", "system:authenticated"}}
	controllers := &user.DefaultInfo{Name: "system:flotilla:controller-manager", Groups: []string{"system:authenticated"}}
	scheduler := &user.DefaultInfo{Name: "system:flotilla:scheduler", Groups: []string{"system:authenticated"}}
	server := &user.DefaultInfo{Name: "system:apiserver", Groups: []string{"system:masters"}}
	token := &user.DefaultInfo{Name: "system:bootstrap:abcdef", Groups: []string{"system:bootstrappers:flotilla"}}
	nobody := &user.DefaultInfo{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}
	const logged, silent = auditinternal.LevelMetadata, auditinternal.LevelNone

	tests := map[string]struct {
		who                    user.Info
		verb, group, res, subr string
		path                   string
		want                   auditinternal.Level
	}{
		"a person writes":             {who: jane, verb: "create", group: "apps", res: "deployments", want: logged},
		"a person deletes":            {who: jane, verb: "deletecollection", group: "apps", res: "deployments", want: logged},
		"a person reads":              {who: jane, verb: "list", group: "apps", res: "deployments", want: silent},
		"a person reads Secrets":      {who: jane, verb: "list", res: "secrets", want: logged},
		"a person watches Secrets":    {who: jane, verb: "watch", res: "secrets", want: logged},
		"a person reads Works":        {who: jane, verb: "get", group: "work.karmada.io", res: "works", want: logged},
		"a person writes Secrets":     {who: jane, verb: "update", res: "secrets", want: logged},
		"a token is made":             {who: jane, verb: "create", res: "serviceaccounts", subr: "token", want: logged},
		"through to a member":         {who: jane, verb: "get", group: "cluster.karmada.io", res: "clusters", subr: "proxy", want: logged},
		"a status is written":         {who: jane, verb: "patch", group: "apps", res: "deployments", subr: "status", want: logged},
		"roles are granted":           {who: jane, verb: "create", group: "rbac.authorization.k8s.io", res: "clusterrolebindings", want: logged},
		"what may I do":               {who: jane, verb: "create", group: "authorization.k8s.io", res: "selfsubjectaccessreviews", want: silent},
		"who am I":                    {who: jane, verb: "create", group: "authentication.k8s.io", res: "selfsubjectreviews", want: silent},
		"an agent reports":            {who: agent, verb: "create", group: "agent.flotilla.io", res: "statusreports", want: silent},
		"an agent's works":            {who: agent, verb: "watch", group: "work.karmada.io", res: "works", want: silent},
		"an agent's status":           {who: agent, verb: "patch", group: "work.karmada.io", res: "works", subr: "status", want: silent},
		"an agent's cluster":          {who: agent, verb: "update", group: "cluster.karmada.io", res: "clusters", subr: "status", want: silent},
		"an agent's heartbeat":        {who: agent, verb: "update", group: "coordination.k8s.io", res: "leases", want: silent},
		"an agent's mesh":             {who: agent, verb: "update", group: "mesh.flotilla.io", res: "meshmembers", subr: "status", want: silent},
		"an agent's reader":           {who: agent, verb: "update", res: "secrets", want: logged},
		"an agent registers":          {who: agent, verb: "create", group: "cluster.karmada.io", res: "clusters", want: logged},
		"an agent renews":             {who: agent, verb: "create", group: "certificates.k8s.io", res: "certificatesigningrequests", want: logged},
		"an agent reads Secrets":      {who: agent, verb: "get", res: "secrets", want: logged},
		"another writes that status":  {who: jane, verb: "update", group: "cluster.karmada.io", res: "clusters", subr: "status", want: logged},
		"a joiner asks":               {who: token, verb: "create", group: "certificates.k8s.io", res: "certificatesigningrequests", want: logged},
		"controllers approve":         {who: controllers, verb: "update", group: "certificates.k8s.io", res: "certificatesigningrequests", subr: "approval", want: logged},
		"controllers watch":           {who: controllers, verb: "watch", group: "apps", res: "deployments", want: silent},
		"controllers watch Secrets":   {who: controllers, verb: "watch", res: "secrets", want: silent},
		"the scheduler watches":       {who: scheduler, verb: "watch", group: "work.karmada.io", res: "resourcebindings", want: silent},
		"the scheduler decides":       {who: scheduler, verb: "update", group: "work.karmada.io", res: "resourcebindings", subr: "schedule", want: logged},
		"the server reads":            {who: server, verb: "list", res: "secrets", want: silent},
		"the server writes":           {who: server, verb: "create", res: "namespaces", want: logged},
		"a hosted agent's report":     {who: controllers, verb: "create", group: "agent.flotilla.io", res: "statusreports", want: silent},
		"a hosted agent's status":     {who: controllers, verb: "patch", group: "work.karmada.io", res: "works", subr: "status", want: silent},
		"a hosted agent's cluster":    {who: controllers, verb: "update", group: "cluster.karmada.io", res: "clusters", subr: "status", want: silent},
		"a hosted agent's mesh":       {who: controllers, verb: "patch", group: "mesh.flotilla.io", res: "meshmembers", subr: "status", want: silent},
		"controllers tell an agent":   {who: controllers, verb: "update", group: "mesh.flotilla.io", res: "meshmembers", want: logged},
		"as above, in one process":    {who: server, verb: "create", group: "agent.flotilla.io", res: "statusreports", want: silent},
		"statuses of one process":     {who: server, verb: "patch", group: "work.karmada.io", res: "works", subr: "status", want: silent},
		"controllers write clusters":  {who: controllers, verb: "patch", group: "cluster.karmada.io", res: "clusters", want: logged},
		"an event":                    {who: controllers, verb: "create", res: "events", want: silent},
		"an event, new group":         {who: controllers, verb: "create", group: "events.k8s.io", res: "events", want: silent},
		"an election":                 {who: controllers, verb: "update", group: "coordination.k8s.io", res: "leases", want: silent},
		"a probe":                     {who: nobody, verb: "get", path: "/readyz", want: silent},
		"a probe of one check":        {who: nobody, verb: "get", path: "/livez/etcd", want: silent},
		"metrics":                     {who: jane, verb: "get", path: "/metrics", want: silent},
		"discovery":                   {who: jane, verb: "get", path: "/apis/apps/v1", want: silent},
		"discovery before joining":    {who: nobody, verb: "get", res: "configmaps", want: silent},
		"nobody writes":               {who: nobody, verb: "create", res: "configmaps", want: logged},
		"something new is posted to":  {who: jane, verb: "create", group: "example.com", res: "things", want: logged},
		"a path that is no discovery": {who: jane, verb: "get", path: "/logs", want: silent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := evaluator.EvaluatePolicyRule(authorizer.AttributesRecord{
				User: tt.who, Verb: tt.verb, APIGroup: tt.group, Resource: tt.res, Subresource: tt.subr, Path: tt.path, ResourceRequest: tt.path == "",
			})
			assert.Equal(t, tt.want, got.Level)
			assert.Contains(t, got.OmitStages, auditinternal.StageRequestReceived)
		})
	}
}
