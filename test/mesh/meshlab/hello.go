package meshlab

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

// The service of the tutorial.
const (
	HelloPort   = 5000
	HelloTarget = 5000
)

// HelloHost is its name in the mesh.
var HelloHost = istiolab.HostOf("default", "hello")

// Document is a file of docs/tutorial.
func (s *Session) Document(name string) string {
	s.Helper()
	data, err := os.ReadFile(filepath.Join(lab.Repository(), "docs", "tutorial", name))
	if err != nil {
		s.Fatal(err)
	}
	return string(data)
}

// Hello divides the tutorial's hello over the members, and waits until all of it
// runs. Its pods say that they have a sidecar, which injection would say.
func (s *Session) Hello(replicas map[string]int) {
	s.Helper()
	const labels = "    metadata:\n      labels:\n        app: hello\n"
	manifest := s.Document("hello.yaml")
	if !strings.Contains(manifest, labels) {
		s.Fatalf("hello.yaml of the tutorial has no template with the label of its app:\n%s", manifest)
	}
	key, value, _ := strings.Cut(inMesh, "=")
	manifest = strings.Replace(manifest, labels, labels+fmt.Sprintf("        %s: %s\n", key, value), 1)
	var clusters []string
	total := 0
	for _, name := range Names {
		if n := replicas[name]; n > 0 {
			clusters = append(clusters, name)
			total += n
		}
	}
	manifest = strings.Replace(manifest, "replicas: 3", "replicas: "+strconv.Itoa(total), 1)
	policy := lab.Policy{
		Name: "hello", Selectors: []string{lab.DeploymentNamed("hello"), "{apiVersion: v1, kind: Service, name: hello}"},
		Clusters: clusters, Weights: replicas,
	}
	s.Apply(lab.Fed, policy.String()+"---\n"+manifest)
	for name, m := range s.Mesh.Members {
		s.Await(fmt.Sprintf("%d pods of hello run in %s", replicas[name], name), func() error {
			pods, err := m.Pods(s.Context(), "hello", HelloTarget)
			if err == nil && len(pods) != replicas[name] {
				err = fmt.Errorf("%d do", len(pods))
			}
			return err
		})
	}
}

// NoHello removes it from everywhere.
func (s *Session) NoHello() {
	s.Helper()
	s.Run(lab.Fed, "delete", "deployment,service,propagationpolicy", "hello", "--ignore-not-found")
	for name, m := range s.Mesh.Members {
		s.Await("hello is gone from "+name, func() error {
			list, err := m.Core.CoreV1().Pods("default").List(s.Context(), metav1.ListOptions{LabelSelector: "app=hello"})
			if err == nil && len(list.Items) > 0 {
				s.confirmDeletions(name)
				err = fmt.Errorf("%d pods are there", len(list.Items))
			}
			return err
		})
	}
}

var confirmation = regexp.MustCompile(`agent\.flotilla\.io/confirm-deletions=\w+`)

// confirmDeletions does what an agent asks for that has just started, and finds
// that all it had is not wanted any more.
func (s *Session) confirmDeletions(name string) {
	s.Helper()
	held := s.Run(lab.Fed, "get", "cluster", name, `--output=jsonpath={.status.conditions[?(@.type=="DeletionsHeld")].message}`)
	if annotation := confirmation.FindString(held); annotation != "" {
		s.Run(lab.Fed, "annotate", "cluster", name, "--overwrite", annotation)
	}
}
