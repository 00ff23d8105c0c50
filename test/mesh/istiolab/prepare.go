package istiolab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// crdFile has Istio's CRDs, in the module istio.io/api.
const crdFile = "kubernetes/customresourcedefinitions.gen.yaml"

// crds are Istio's CRDs in the version that test/mesh/istiod requires. Nothing of
// them is kept in this repository.
var crds = sync.OnceValues(func() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	dir, err := moduleDir("istio.io/api")
	if err != nil {
		return nil, err
	}
	return readCRDs(filepath.Join(dir, crdFile))
})

// moduleDir is where a module is that test/mesh/istiod requires.
func moduleDir(module string) (string, error) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = filepath.Join(lab.Repository(), "test", "mesh", "istiod")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("where module %s is (%s in %s): %w", module, cmd, cmd.Dir, err)
	}
	return strings.TrimSpace(string(out)), nil
}

func readCRDs(file string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; run make istiod, which downloads it", err)
	}
	var found []*apiextensionsv1.CustomResourceDefinition
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		switch err := decoder.Decode(crd); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file, err)
		case crd.Name != "":
			found = append(found, crd)
		}
	}
}

// Prepare gives a member what an installation of Istio has before istiod: its
// CRDs and its namespace. What is there already is left as it is.
func Prepare(ctx context.Context, kubeconfig string) error {
	wanted, err := crds()
	if err != nil {
		return err
	}
	config, err := configOf(kubeconfig)
	if err != nil {
		return err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := createNamespace(ctx, core); err != nil {
		return err
	}
	return createCRDs(ctx, config, wanted)
}

func createNamespace(ctx context.Context, core kubernetes.Interface) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	if _, err := core.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func configOf(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err == nil {
		config.QPS = -1
	}
	return config, err
}

// createCRDs makes CRDs and waits until they are served.
func createCRDs(ctx context.Context, config *rest.Config, wanted []*apiextensionsv1.CustomResourceDefinition) error {
	extensions, err := apiextensions.NewForConfig(config)
	if err != nil {
		return err
	}
	client := extensions.ApiextensionsV1().CustomResourceDefinitions()
	for _, crd := range wanted {
		if _, err := client.Create(ctx, crd, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating CRD %s: %w", crd.Name, err)
		}
	}
	return wait.PollUntilContextTimeout(ctx, poll, time.Minute, true, func(ctx context.Context) (bool, error) {
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		served := established(list.Items)
		return !slices.ContainsFunc(wanted, func(crd *apiextensionsv1.CustomResourceDefinition) bool { return !served[crd.Name] }), nil
	})
}

// established are the names of CRDs that are served.
func established(list []apiextensionsv1.CustomResourceDefinition) map[string]bool {
	names := map[string]bool{}
	for i := range list {
		for _, c := range list[i].Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				names[list[i].Name] = true
			}
		}
	}
	return names
}
