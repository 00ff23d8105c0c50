package push

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

var shared *lab.Lab

func TestMain(m *testing.M) {
	os.Exit(lab.Main(m, func(l *lab.Lab) { shared = l }, "--mode=push"))
}

func TestTutorialInPushMode(t *testing.T) {
	s := shared.Session(t)
	for line := range strings.Lines(s.Run(lab.Fed, "get", "clusters", "--no-headers")) {
		require.Equal(t, []string{"Push", "True"}, strings.Fields(line)[2:4])
	}
	_, err := s.PID("agent-eu")
	require.Error(t, err, "an agent runs beside the member")

	docs := lab.Repository() + "/docs/tutorial/"
	s.Run(lab.Fed, "apply", "--filename="+docs+"hello.yaml")
	s.Mentions(lab.Fed, []string{"No policy match for resource"}, "describe", "deployment", "hello")
	s.Run(lab.Fed, "apply", "--filename="+docs+"policy.yaml")
	ready := []string{"get", "deployment", "hello", "--output=jsonpath={.status.readyReplicas}"}
	s.Shows(lab.Fed, "3", ready...)
	for _, m := range []string{"ap", "eu", "us"} {
		s.Shows(m, "1", ready...)
		s.Shows(m, "service/hello", "get", "service", "hello", "--output=name")
	}
	s.Run(lab.Fed, "scale", "deployment/hello", "--replicas=10")
	s.Shows(lab.Fed, "10", ready...)

	s.Run("eu", "delete", "deployment", "hello")
	s.Mentions("eu", []string{"deployment.apps/hello"}, "get", "deployments", "--output=name")
	s.Shows(lab.Fed, "10", ready...)

	uid := []string{"get", "deployment", "hello", "--output=jsonpath={.metadata.uid}"}
	before := s.Run("us", uid...)
	s.Crash("apiserver")
	s.Eventually("the federation answers", func() (string, bool) {
		out, err := s.Try(lab.Fed, "scale", "deployment/hello", "--replicas=12")
		return out, err == nil
	})
	s.Shows(lab.Fed, "12", ready...)
	require.Equal(t, before, s.Run("us", uid...))

	s.Run(lab.Fed, "delete", "--filename="+docs+"hello.yaml")
	for _, m := range []string{"ap", "eu", "us"} {
		s.Gone(m, "deployments,pods", "--selector=app=hello")
	}
}
