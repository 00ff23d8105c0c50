#!/usr/bin/env bash
# Runs a command once, on all packages whose tests contain a pattern.
# Usage: each-test.sh <pattern> <command...>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pattern=$1
shift
mapfile -t packages < <(grep -rlE --include='*_test.go' "${pattern}" api pkg cmd | xargs -r -n1 dirname | sort -u | sed 's,^,./,')
if [[ ${#packages[@]} -eq 0 ]]; then
	echo "no test matches ${pattern}"
	exit 0
fi
exec "$@" "${packages[@]}"
