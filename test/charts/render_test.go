package charts

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/flotilla-io/flotilla/charts"
)

const (
	releaseName = "fed"
	namespace   = "flotilla-system"
	directory   = "../../charts/flotilla"
)

// oldest is the oldest Kubernetes that Chart.yaml allows.
var oldest = &common.KubeVersion{Version: "v1.30.0", Major: "1", Minor: "30"}

// loadEmbedded reads the chart as it is in binaries.
func loadEmbedded() (*chart.Chart, error) {
	var files []*archive.BufferedFile
	err := fs.WalkDir(charts.Flotilla, "flotilla", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := charts.Flotilla.ReadFile(path)
		files = append(files, &archive.BufferedFile{Name: strings.TrimPrefix(path, "flotilla/"), Data: content})
		return err
	})
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(files)
}

// rendering is what an installation would bring into a cluster.
type rendering struct {
	text    string
	notes   string
	objects []*unstructured.Unstructured
}

type option func(*action.Install)

func asUpgrade(i *action.Install) { i.IsUpgrade = true }

func render(values map[string]any, options ...option) (*rendering, error) {
	loaded, err := loadEmbedded()
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(action.NewConfiguration())
	install.ReleaseName, install.Namespace = releaseName, namespace
	install.DryRunStrategy = action.DryRunClient
	install.Replace = true
	install.KubeVersion = oldest
	for _, option := range options {
		option(install)
	}
	done, err := install.Run(loaded, values)
	if err != nil {
		return nil, err
	}
	rel, ok := done.(*release.Release)
	if !ok {
		return nil, errors.New("not a release of this version of Helm")
	}
	r := &rendering{text: strings.TrimSpace(rel.Manifest) + "\n", notes: rel.Info.Notes}
	for _, hook := range rel.Hooks {
		r.text += "---\n# Source: " + hook.Path + "\n" + strings.TrimSpace(hook.Manifest) + "\n"
	}
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(r.text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := sigsyaml.UnmarshalStrict(document, &object.Object); err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			r.objects = append(r.objects, object)
		}
	}
}

// sets are the values of testdata, by name.
func sets(t *testing.T) map[string]map[string]any {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.values.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	all := map[string]map[string]any{}
	for _, path := range paths {
		all[strings.TrimSuffix(filepath.Base(path), ".values.yaml")] = parse(t, string(read(t, path)))
	}
	return all
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	require.NoError(t, sigsyaml.UnmarshalStrict([]byte(text), &values), text)
	return values
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

// each renders every set.
func each(t *testing.T, check func(t *testing.T, r *rendering)) {
	t.Helper()
	for name, values := range sets(t) {
		t.Run(name, func(t *testing.T) {
			r, err := render(values)
			require.NoError(t, err)
			check(t, r)
		})
	}
}

func name(o *unstructured.Unstructured) string { return o.GetKind() + "/" + o.GetName() }

// get is the object of a kind and a name.
func (r *rendering) get(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range r.objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}
