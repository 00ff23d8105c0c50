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
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// crdFile has Istio's CRDs, in the module istio.io/api.
const crdFile = "kubernetes/customresourcedefinitions.gen.yaml"

// crds are Istio's CRDs in the version that test/mesh/istiod requires. Nothing of
// them is kept in this repository.
var crds = sync.OnceValues(func() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api")
	cmd.Dir = filepath.Join(lab.Repository(), "test", "mesh", "istiod")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("where module istio.io/api is (%s in %s): %w", cmd, cmd.Dir, err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), crdFile))
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
			return nil, fmt.Errorf("%s: %w", crdFile, err)
		case crd.Name != "":
			found = append(found, crd)
		}
	}
})

// Prepare gives a member what an installation of Istio has before istiod: its
// CRDs and its namespace. What is there already is left as it is.
func Prepare(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	extensions, err := apiextensions.NewForConfig(config)
	if err != nil {
		return err
	}
	wanted, err := crds()
	if err != nil {
		return err
	}
	client := extensions.ApiextensionsV1().CustomResourceDefinitions()
	for _, crd := range wanted {
		if _, err := client.Create(ctx, crd, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating Istio's CRD %s: %w", crd.Name, err)
		}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	if _, err := core.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, poll, time.Minute, true, func(ctx context.Context) (bool, error) {
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		return established(list.Items) >= len(wanted), nil
	})
}

// established counts Istio's CRDs that are served.
func established(list []apiextensionsv1.CustomResourceDefinition) (count int) {
	for _, crd := range list {
		if !strings.HasSuffix(crd.Spec.Group, ".istio.io") {
			continue
		}
		for _, c := range crd.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				count++
			}
		}
	}
	return count
}
