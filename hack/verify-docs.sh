#!/usr/bin/env bash
# Fails when the documents have fallen behind: a flag of a binary in bin/ that
# docs/operations.md does not name, or a link to a file that is not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
for binary in apiserver controller-manager scheduler agent playground; do
	while read -r flag; do
		grep -q -e "\`${flag}\`" docs/operations.md || {
			echo "docs/operations.md: does not name ${flag} of ${binary}" >&2
			status=1
		}
	done < <("bin/${binary}" --help 2>&1 | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | grep -v -x -e --help)
done

while IFS=: read -r file link; do
	target=${link%%#*}
	if [[ -n ${target} && ! -e $(dirname "${file}")/${target} ]]; then
		echo "${file}: links to ${link}, which is not there" >&2
		status=1
	fi
done < <(find . -name '*.md' -not -path './.*' | sed 's,^./,,' | xargs -r grep -oHE '\]\([^)]+\)' | sed -E 's/\]\(([^)]*)\)/\1/' | grep -vE ':(https?|mailto):')
exit "${status}"
