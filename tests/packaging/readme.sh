#!/usr/bin/env bash
# Runs every command of README.md that stands in a block marked `sh run`, in order, in a copy of nothing: the checkout itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
commands=$(awk '/^```sh run$/{run=1; next} /^```$/{run=0} run' README.md)
[ -n "$commands" ] || { echo "README.md has no commands to run"; exit 1; }
while IFS= read -r line; do
    [ -n "$line" ] || continue
    echo "+ $line"
    bash -euo pipefail -c "$line" </dev/null
done <<<"$commands"
