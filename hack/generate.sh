#!/usr/bin/env bash
# Regenerates what is derived from the types in api/: deep copies, OpenAPI model
# names and OpenAPI definitions. With --verify it changes nothing and fails when
# the committed files differ from what would be generated.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

module=github.com/flotilla-io/flotilla
packages=()
for dir in api/*/v*/; do
	packages+=("${module}/${dir%/}")
done

work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
: >"${work}/header.txt"

# Two of the violations that openapi-gen reports are names the wire contract
# prescribes; any other is a mistake in a type.
allowed='ClusterAffinity,ExcludeClusters$|ObjectReference,ReplicaResourceRequirements$'

generated() { find api -name 'zz_generated.*.go' | sort; }

if [[ "${1:-}" == --verify ]]; then
	generated | tar -cf "${work}/before.tar" -T -
fi

mkdir "${work}/bin"
go build -o "${work}/bin/" k8s.io/code-generator/cmd/deepcopy-gen k8s.io/kube-openapi/cmd/openapi-gen

"${work}/bin/deepcopy-gen" \
	--go-header-file "${work}/header.txt" \
	--output-file zz_generated.deepcopy.go \
	"${packages[@]}"

"${work}/bin/openapi-gen" \
	--go-header-file "${work}/header.txt" \
	--output-dir api/openapi \
	--output-pkg "${module}/api/openapi" \
	--output-file zz_generated.openapi.go \
	--output-model-name-file zz_generated.model_name.go \
	--report-filename "${work}/violations.txt" \
	"${packages[@]}"

# openapi-gen knows the model names only of packages that it generates; those of
# Kubernetes are their import paths in reverse-domain form.
sed -E -i \
	-e 's#"k8s\.io/([A-Za-z0-9/.-]+\.[A-Z][A-Za-z0-9]*)"#"io.k8s.\1"#g' \
	-e ':a; s#("io\.k8s\.[A-Za-z0-9.-]*)/#\1.#g; ta' \
	api/openapi/zz_generated.openapi.go

if grep -vE "${allowed}" "${work}/violations.txt" >&2; then
	echo "hack/generate.sh: correct the types named above" >&2
	exit 1
fi

if [[ "${1:-}" == --verify ]]; then
	mkdir "${work}/before"
	tar -xf "${work}/before.tar" -C "${work}/before"
	status=0
	for file in $(generated); do
		cmp -s "${file}" "${work}/before/${file}" || { echo "out of date: ${file}" >&2; status=1; }
	done
	tar -xf "${work}/before.tar"
	if [[ ${status} != 0 ]]; then
		echo "run hack/generate.sh and commit the result" >&2
	fi
	exit "${status}"
fi
