#!/usr/bin/env bash
# Fuzzes each target for a time. Usage: fuzz.sh <duration> <go command>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

duration=$1
go=$2
while IFS=: read -r file line; do
	target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"${line}")
	echo "== ${target} in $(dirname "${file}")"
	"${go}" test -run '^$' -fuzz "^${target}\$" -fuzztime "${duration}" "./$(dirname "${file}")"
done < <(grep -rE --include='*_test.go' '^func Fuzz' api pkg cmd | sort)
