#!/usr/bin/env bash
# Publishes the command ahead-of-time compiled and as a trimmed single file, and runs each as a user would:
#   bash tests/packaging/publish.sh OUTPUT_FOLDER
set -euo pipefail
out=$1
repo=$(cd "$(dirname "$0")/../.." && pwd)

smoke() {
    local moe=$1
    local text
    text=$(env -i HOME="$out" "$moe" generate -p "It was a" -n 12 -t 0 --quiet)
    [ -n "$text" ] || { echo "$moe printed nothing"; exit 1; }
    echo "$moe: $text"
    env -i HOME="$out" "$moe" inspect --json "$repo/tests/data/novelist-s" | grep -q '"family":"qwen3_moe"'
    env -i HOME="$out" "$moe" doctor --quiet >/dev/null
    if env -i HOME="$out" "$moe" inspect "$out/none" 2>"$out/error"; then
        echo "$moe accepted a missing folder"
        exit 1
    else
        [ $? -eq 3 ] || { echo "$moe: wrong exit code for a missing folder"; exit 1; }
    fi
}

# In folders of its own, so that the checkout's build stays as it is. The lock files hold no runtime-specific section:
# publishing must not rewrite them. The build has run the analyzers.
publish() {
    dotnet publish "$repo/src/MoeKernels.Cli" -c Release -r linux-x64 --artifacts-path "$out/artifacts" \
        -p:NuGetLockFilePath=obj/publish.lock.json -p:RunAnalyzers=false -p:EnforceCodeStyleInBuild=false "$@"
}

publish -p:PublishAot=true -o "$out/aot"
smoke "$out/aot/moe"
publish --self-contained -p:PublishSingleFile=true -p:PublishTrimmed=true -o "$out/trimmed"
smoke "$out/trimmed/moe"
[ "$("$out/aot/moe" generate -p "It was a" -n 12 -t 0 -q)" = "$("$out/trimmed/moe" generate -p "It was a" -n 12 -t 0 -q)" ] ||
    { echo "the two builds write different texts"; exit 1; }

# The tool package, installed as a user installs it.
dotnet pack "$repo/src/MoeKernels.Cli" -c Release -o "$out/packages"
dotnet pack "$repo/src/MoeKernels" -c Release -o "$out/packages"
dotnet tool install MoeKernels.Cli --tool-path "$out/tool" --add-source "$out/packages"
"$out/tool/moe" generate -p "It was a" -n 4 -t 0 -q
