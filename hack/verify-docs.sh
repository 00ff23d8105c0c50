#!/usr/bin/env bash
# Fails when the documents have fallen behind: a flag of a binary in bin/ that
# docs/operations.md does not name, or names with another default, or a link to a
# file that is not there. BIN is where the binaries are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${BIN:-bin}

status=0
for binary in apiserver controller-manager scheduler agent playground; do
	while read -r flag; do
		grep -q -e "\`${flag}\`" docs/operations.md || {
			echo "docs/operations.md: does not name ${flag} of ${binary}" >&2
			status=1
		}
	done < <("${bin}/${binary}" --help 2>&1 | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | grep -v -x -e --help)
done

# documented prints "--flag default" for each flag in the table of a binary. A row
# that names several flags has a default for each, separated by commas, or one for
# all of them.
documented() {
	awk -F ' *[|] *' -v binary="$1" '
		/^##/ { here = $0 == "### " binary }
		here && $2 ~ /^`--/ {
			n = split($2, flags, /, */)
			if (n == 1 || split($3, defaults, /, */) != n)
				for (i = 1; i <= n; i++) defaults[i] = $3
			for (i = 1; i <= n; i++) { gsub(/`/, "", flags[i]); print flags[i], defaults[i] }
		}' docs/operations.md
}

# actual prints the same from the help of a binary: durations, texts and lists as
# people write them, and no default for what is empty.
actual() {
	"${bin}/$1" --help 2>&1 |
		sed -nE 's/^ +(-[a-z], )?(--[a-z-]+) .*\(default "?([^()"]*)"?\)$/\2 \3/p; t; s/^ +(-[a-z], )?(--[a-z-]+) .*/\2 /p' |
		sed -E 's/([0-9]h)0m0s$/\1/; s/([0-9]m)0s$/\1/; s/ \[(.*)\]$/ \1/'
}

# Flags that are not in a table, those for logs, are passed over.
# A flag without a default of its own may be documented in words, or with the zero
# of its type; one that has a default is documented with it, or as off if that is 0.
for binary in apiserver controller-manager scheduler agent playground; do
	while read -r flag default; do
		row=$(documented "${binary}" | grep -e "^${flag} ") || continue
		documented=${row#"${flag} "}
		case "${default}" in
		"") [[ ! ${documented} =~ ^(true|[1-9][0-9.]*[a-z]*|[0-9.]+[:/][0-9]+)$ ]] && continue ;;
		0) [[ ${documented} == 0 || ${documented} == off ]] && continue ;;
		*) [[ ${documented} == "${default}" ]] && continue ;;
		esac
		echo "docs/operations.md: ${flag} of ${binary} is ${default:-empty} by default, not ${documented:-empty}" >&2
		status=1
	done < <(actual "${binary}")
done

while IFS=: read -r file link; do
	target=${link%%#*}
	if [[ -n ${target} && ! -e $(dirname "${file}")/${target} ]]; then
		echo "${file}: links to ${link}, which is not there" >&2
		status=1
	fi
done < <(find . -name '*.md' -not -path './.*' | sed 's,^./,,' | xargs -r grep -oHE '\]\([^)]+\)' | sed -E 's/\]\(([^)]*)\)/\1/' | grep -vE ':(https?|mailto):')
exit "${status}"
