//go:build linux

package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/realnode"
	"github.com/flotilla-io/flotilla/test/realnode/image"
)

const (
	// Names of images in the tutorial.
	helloImage = "docker.io/istio/examples-helloworld-v1:1.0"
	sleepImage = "docker.io/curlimages/curl:8.16.0"
	etcdImage  = "localhost/flotilla/etcd:1"

	imageRepository = "ghcr.io/flotilla-io/flotilla/"
	// newer is a tag under which nodes have the same images again.
	newer = "v0.1.1"
)

// begin starts all clusters at once and gives each the images it needs.
func begin(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "flotilla-images-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a few files that nobody minds
	for file, of := range map[string][2]string{
		"hello": {helloImage, "hello"}, "sleep": {sleepImage, "pause"}, "etcd": {etcdImage, "etcd"},
	} {
		// The name of the binary is that of the command.
		binary := filepath.Join(dir, file)
		if err := os.Link(lab.Binary("node/"+of[1]), binary); err != nil {
			if err := os.Symlink(lab.Binary("node/"+of[1]), binary); err != nil {
				return err
			}
		}
		if err := image.Write(binary+".tar", of[0], binary); err != nil {
			return err
		}
	}
	if world.Lab, err = realnode.New(); err != nil {
		return err
	}
	world.clusters = map[string]*realnode.Cluster{}
	var mu sync.Mutex
	var failed []error
	var started sync.WaitGroup
	for _, name := range append([]string{hostName}, members...) {
		started.Go(func() {
			c, err := start(ctx, name, dir)
			mu.Lock()
			defer mu.Unlock()
			world.clusters[name] = c
			failed = append(failed, err)
		})
	}
	started.Wait()
	world.host = world.clusters[hostName]
	return errors.Join(failed...)
}

func start(ctx context.Context, name, images string) (*realnode.Cluster, error) {
	c, err := world.Start(ctx, name)
	if err != nil {
		return nil, err
	}
	components := []string{"agent"}
	archives := []string{filepath.Join(images, "hello.tar"), filepath.Join(images, "sleep.tar")}
	if name == hostName {
		components = append(components, "apiserver", "controller-manager", "scheduler")
		archives = append(archives, filepath.Join(images, "etcd.tar"))
	}
	for _, component := range components {
		archives = append(archives, lab.Binary("images/"+component+".tar"))
	}
	if err := c.Import(ctx, archives...); err != nil {
		return nil, fmt.Errorf("%w; make images builds them", err)
	}
	for _, component := range components {
		if err := c.Tag(ctx, imageRepository+component+":"+current, imageRepository+component+":"+newer); err != nil {
			return nil, err
		}
	}
	return c, nil
}
