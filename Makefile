# What people type: playground, playground-clean, test. "make help" lists all.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO  ?= go
BIN := bin

# Static binaries without this machine's paths, so that images of them are the same
# wherever they are built. Tests are built so, too: the long compilation is shared.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(filter-out -trimpath,$(shell $(GO) env GOFLAGS)) -trimpath)

# What members and the federation say they are: the Kubernetes that is linked.
KUBE_VERSION := $(shell sed -n 's,^[[:space:]]*k8s.io/kubernetes \(v[0-9.]*\).*,\1,p' go.mod)
KUBE_MAJOR   := $(word 1,$(subst ., ,$(KUBE_VERSION:v%=%)))
KUBE_MINOR   := $(word 2,$(subst ., ,$(KUBE_VERSION:v%=%)))

# What Flotilla says it is; a release sets it: make build VERSION=v0.2.0
VERSION ?= $(shell sed -n 's,^var Version = "\(.*\)",\1,p' pkg/version/version.go)

comma := ,
VERSION_FLAGS := $(foreach package,k8s.io/component-base/version k8s.io/client-go/pkg/version,\
	-X $(package).gitVersion=$(KUBE_VERSION) \
	-X $(package).gitMajor=$(KUBE_MAJOR) \
	-X $(package).gitMinor=$(KUBE_MINOR) \
	-X $(package).gitTreeState=clean)
LDFLAGS := -s -w -X github.com/flotilla-io/flotilla/pkg/version.Version=$(VERSION) $(VERSION_FLAGS)

# make playground MEMBERS=eu,ap NODES=2 MODE=push DIR=/tmp/lab
DIR  ?= .flotilla
PLAYGROUND_FLAGS := --dir=$(DIR) \
	$(if $(MEMBERS),--members=$(MEMBERS)) $(if $(NODES),--nodes=$(NODES)) $(if $(MODE),--mode=$(MODE))

# The go command knows best what is out of date, so it is asked every time; when
# nothing is, it takes about a second. The first time is long, and says so.
PLAYGROUND_BINARIES := ./cmd/apiserver ./cmd/agent ./cmd/playground
ALL_BINARIES        := $(wildcard ./cmd/*) k8s.io/kubernetes/cmd/kubectl

# What Debian has of a node, see test/realnode.
NODE_PACKAGES := containernetworking-plugins nftables iproute2 libseccomp-dev pkg-config gcc libc6-dev

first_time = if [ ! -e $(BIN)/$(1) ]; then echo "building $(2)"; fi

.PHONY: help
help: ## List the targets.
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

.PHONY: playground
playground: ## Start a federation and three members; Ctrl-C stops them.
	@$(call first_time,playground,the federation$(comma) the agent and kube-apiserver and friends for members: about 5 minutes the first time on 2 cores$(comma) seconds later)
	@mkdir -p $(BIN)
	@$(GO) build -o $(BIN)/ -ldflags '$(LDFLAGS)' $(PLAYGROUND_BINARIES)
	@if ! command -v kubectl >/dev/null; then \
		$(call first_time,kubectl,kubectl$(comma) because this machine has none: a minute the first time); \
		$(GO) build -o $(BIN)/ -ldflags '$(LDFLAGS)' k8s.io/kubernetes/cmd/kubectl; fi
	@exec $(BIN)/playground $(PLAYGROUND_FLAGS)

# Its directory is another one, unless DIR is given.
MESH_DIR := $(if $(filter file,$(origin DIR)),.flotilla-mesh,$(DIR))
.PHONY: playground-mesh
playground-mesh: istiod ## The same with an Istio in each member, for docs/mesh.md; Ctrl-C stops it.
	@$(call first_time,playground,the federation$(comma) the agent and kube-apiserver and friends for members: about 5 minutes the first time on 2 cores$(comma) seconds later)
	@mkdir -p $(BIN)/mesh
	@$(GO) build -o $(BIN)/ -ldflags '$(LDFLAGS)' $(PLAYGROUND_BINARIES) ./cmd/fedctl
	@$(GO) build -o $(BIN)/mesh/try ./test/mesh/try
	@if ! command -v kubectl >/dev/null; then \
		$(call first_time,kubectl,kubectl$(comma) because this machine has none: a minute the first time); \
		$(GO) build -o $(BIN)/ -ldflags '$(LDFLAGS)' k8s.io/kubernetes/cmd/kubectl; fi
	@exec $(BIN)/mesh/try -dir='$(MESH_DIR)'

.PHONY: playground-clean
playground-clean: ## Remove what the playground left behind.
	@if [ -e '$(DIR)' ]; then $(GO) build -o $(BIN)/ -ldflags '$(LDFLAGS)' ./cmd/playground && $(BIN)/playground clean --dir='$(DIR)'; fi

.PHONY: build
build: ## Build all binaries, and kubectl, into bin/.
	@$(call first_time,playground,everything into $(BIN)/: about 6 minutes the first time on 2 cores$(comma) seconds later)
	@mkdir -p $(BIN)
	@$(GO) build -o $(BIN)/ -ldflags '$(LDFLAGS)' $(ALL_BINARIES)

# runc is the only one that needs a C compiler, and libseccomp.
.PHONY: node-binaries
node-binaries: ## Build what a real node runs (Linux only), into bin/node/.
ifeq ($(shell uname -s),Linux)
	@$(call first_time,node/runc,kubelet$(comma) kube-proxy$(comma) containerd and runc for tests on real nodes: about 5 minutes the first time on 2 cores$(comma) seconds later)
	@pkg-config --exists libseccomp || { echo "runc needs libseccomp: apt-get install $(NODE_PACKAGES)" >&2; exit 1; }
	@mkdir -p $(BIN)/node
	@$(GO) build -o $(BIN)/node/ -ldflags '-s -w' ./test/realnode/pause ./test/realnode/hello ./test/charts/install/etcd
	@$(GO) build -o $(BIN)/node/ -ldflags '$(LDFLAGS)' k8s.io/kubernetes/cmd/kubelet k8s.io/kubernetes/cmd/kube-proxy
	@CGO_ENABLED=1 $(GO) -C hack/node build -o $(CURDIR)/$(BIN)/node/ -ldflags '-s -w' -tags 'seccomp no_btrfs no_devmapper no_zfs' tool
else
	@echo "real nodes need Linux: nothing is built"
endif

# A release of Istio says its version, a build from its module says "unknown": this
# one says the version of the API that it is built with.
ISTIO_VERSION := $(shell sed -n 's,^.*istio.io/api => istio.io/api v\([0-9.]*\)$$,\1,p' test/mesh/istiod/go.mod)
.PHONY: istiod
istiod: ## Build Istio's control plane for tests of the mesh, into bin/mesh/.
	@$(call first_time,mesh/pilot-discovery,istiod for tests of the mesh: about 3 minutes the first time on 2 cores$(comma) seconds later)
	@mkdir -p $(BIN)/mesh
	@$(GO) -C test/mesh/istiod build -o $(CURDIR)/$(BIN)/mesh/ -ldflags '-s -w -X istio.io/istio/pkg/version.buildVersion=$(ISTIO_VERSION) -X istio.io/istio/pkg/version.buildTag=$(ISTIO_VERSION)' tool

# Images of another architecture: make images GOARCH=arm64
IMAGE_REPOSITORY ?= ghcr.io/flotilla-io/flotilla
IMAGES           := apiserver controller-manager scheduler agent
IMAGE_BIN        := $(BIN)$(if $(GOARCH),/$(GOARCH))
.PHONY: images
images: ## Build container images into bin/images/: OCI archives, and an SBOM beside each. No Docker needed.
	@$(call first_time,images,images: about 5 minutes the first time on 2 cores$(comma) seconds later)
	@mkdir -p $(IMAGE_BIN)
	@$(GO) build -o $(IMAGE_BIN)/ -ldflags '$(LDFLAGS)' $(addprefix ./cmd/,$(IMAGES))
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || true)} GOOS= GOARCH= \
		$(GO) run ./hack/images -bin $(IMAGE_BIN) -out $(BIN)/images -name $(IMAGE_REPOSITORY) -tag $(VERSION) $(IMAGES)

.PHONY: test
test: build verify verify-docs lint test-unit test-e2e test-charts test-mesh ## Everything that has to hold before a merge.

# Shows what failed, what took long and the numbers; TEST_TOTALS=file appends them.
TOTALS := $(GO) run ./hack/testtotals $(if $(TEST_TOTALS),-totals $(TEST_TOTALS))

# -shuffle finds tests that lean on each other.
.PHONY: test-unit
test-unit: ## Unit tests, and integration tests in one process.
	$(GO) test -json -shuffle=on -timeout=15m ./api/... ./cmd/... ./hack/... ./pkg/... ./test/charts $(if $(wildcard test/integration),./test/integration/...) | $(TOTALS)

.PHONY: test-e2e
test-e2e: build ## The tutorial and its faults, with real kubectl on a real playground.
	$(if $(wildcard test/e2e),$(GO) test -json -count=1 -timeout=30m ./test/e2e/... | $(TOTALS),@echo "there is no test/e2e yet")

# One package after the other: each is several clusters.
.PHONY: test-charts
test-charts: build node-binaries images $(BIN)/helm ## Install the chart into real clusters, whose nodes run real pods. Linux, root.
	$(GO) test -json -count=1 -p=1 -timeout=20m ./test/realnode/... ./test/charts/install/... | $(TOTALS)

.PHONY: $(BIN)/helm
$(BIN)/helm:
	@$(call first_time,helm,Helm: about a minute the first time)
	@$(GO) build -o $(BIN)/ -ldflags '-s -w' helm.sh/helm/v4/cmd/helm

# Two packages at a time: each is several clusters and three istiods, which mostly wait.
.PHONY: test-mesh
test-mesh: build istiod ## The mesh, with real istiods on a real playground.
	$(GO) test -json -count=1 -p=2 -timeout=20m ./test/mesh/... | $(TOTALS)

.PHONY: lint
lint: $(BIN)/golangci-lint ## Static analysis, see .golangci.yml.
	$(GO) vet ./...
	$(BIN)/golangci-lint run ./...

$(BIN)/golangci-lint: hack/tools/go.mod hack/tools/go.sum
	@$(call first_time,golangci-lint,golangci-lint: about 2 minutes the first time)
	@$(GO) -C hack/tools build -o $(CURDIR)/$@ -ldflags '-s -w' github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

.PHONY: generate
generate: ## Regenerate what is derived from the types in api/, and the README of the chart.
	hack/generate.sh
	$(GO) run ./hack/chartdocs charts/flotilla

.PHONY: verify
verify: ## Fail if generated files are not up to date.
	hack/generate.sh --verify
	$(GO) run ./hack/chartdocs -verify charts/flotilla

.PHONY: verify-docs
verify-docs: build ## Fail if docs/ lacks a flag, or links to what is not there.
	hack/verify-docs.sh

.PHONY: bench
bench: build ## Benchmarks: the pure parts (BENCH=regexp, BENCHTIME), and a rollout on a playground.
	hack/each-test.sh '^func Benchmark' $(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchtime=$(or $(BENCHTIME),200ms) -benchmem
	$(GO) test -v -count=1 ./test/bench

# Go fuzzes one target at a time.
FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (30s).
	hack/fuzz.sh '$(FUZZTIME)' '$(GO)'
