//go:build linux

package realnode

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const storageClass = "local"

// makeStorageClass makes the class of claims that name none. Nothing provisions:
// volumes are made by [Cluster.AddVolume].
func (c *Cluster) makeStorageClass(ctx context.Context) error {
	late := storagev1.VolumeBindingWaitForFirstConsumer
	_, err := c.Client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        storageClass,
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:       "kubernetes.io/no-provisioner",
		VolumeBindingMode: &late,
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("storage class: %w", err)
	}
	return nil
}

// AddVolume makes a directory of the node a volume that a claim can get. It is kept
// when the claim goes.
func (c *Cluster) AddVolume(ctx context.Context, name, size string) error {
	dir := c.node.path("volumes", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	_, err := c.Client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              storageClass,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{c.node.Name},
				}},
			}}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("volume %s of cluster %s: %w", name, c.Name, err)
	}
	return nil
}
