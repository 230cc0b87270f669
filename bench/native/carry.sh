#!/usr/bin/env bash
# Packs the managed tests for a machine with a card and without .NET: a self-contained folder, as a tar below 64 MiB.
#
#     bash bench/native/carry.sh [ARCHIVE]        artifacts/carry/managed-tests.tar.xz if not given
#
# on-card.sh unpacks it inside a checkout, where the tests find their data.
set -euo pipefail
cd "$(dirname "$0")/../.."
archive=${1:-artifacts/carry/managed-tests.tar.xz}
limit=$((64 << 20))
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

# The lock files hold no runtime-specific section: publishing must not rewrite them.
dotnet publish tests/MoeKernels.Tests -c Release -r linux-x64 --self-contained -o "$folder/managed-tests" \
    -p:InvariantGlobalization=true -p:SatelliteResourceLanguages=en -p:DebugType=none \
    -p:NuGetLockFilePath=obj/publish.lock.json
mkdir -p "$(dirname "$archive")"
tar -C "$folder" -cJf "$archive" managed-tests
bytes=$(stat -c %s "$archive")
if [ "$bytes" -gt "$limit" ]; then
    echo "carry.sh: $archive has $bytes bytes, more than $limit" >&2
    exit 1
fi
echo "$archive: $bytes bytes"
