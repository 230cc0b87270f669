#!/usr/bin/env bash
# Packs the packages with natives and consumes them as users do: a console program, compiled ahead of time, a plug-in,
# a program without the native package, and C through CMake. Needs the built library:
#   bash tests/packaging/native.sh OUTPUT_FOLDER [FOLDER_OF_LIBRARIES]
set -euo pipefail
out=$1
repo=$(cd "$(dirname "$0")/../.." && pwd)
natives=$(cd "${2:-$repo/artifacts/native/Release}" && pwd)/
here=$repo/tests/packaging/native
model=$repo/tests/data/novelist-s
version=$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' "$repo/Directory.Build.props")

fail() { echo "packaging: $*"; exit 1; }

mkdir -p "$out/feed"
pack() { dotnet pack "$1" -c Release -o "$out/feed" -p:MoekNativeFolder="$natives" -v q; }
pack "$repo/src/MoeKernels"
pack "$repo/native/packaging/MoeKernels.Runtime.linux-x64.csproj"
if [ -e "${natives}libmoekernels_cuda.so" ]; then
    pack "$repo/native/packaging/MoeKernels.Runtime.Cuda.linux-x64.csproj"
    pack "$repo/native/packaging/MoeKernels.Cuda.csproj"
fi

# Outside the checkout, so that nothing of its build files is found.
export NUGET_PACKAGES=$out/nuget
project() {
    local folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && dotnet new console --force --name "$(basename "$folder")" -o . >/dev/null)
    cat >"$folder/nuget.config" <<CONFIG
<configuration>
  <packageSources>
    <add key="feed" value="$out/feed" />
  </packageSources>
</configuration>
CONFIG
    for package in "$@"; do
        (cd "$folder" && dotnet add package "$package" --version "$version" >/dev/null)
    done
}

project "$out/consumer" MoeKernels MoeKernels.Runtime.linux-x64
cp "$here/consumer/Program.cs" "$out/consumer/Program.cs"
dotnet build "$out/consumer" -c Release -v q
consumer=$(echo "$out"/consumer/bin/Release/net*/consumer)
text=$(env -u MOEK_NATIVE "$consumer" "$model")
[ -n "$text" ] || fail "the consumer printed nothing"
echo "consumer: $text"

project "$out/plugin"
cp "$here/plugin/Program.cs" "$out/plugin/Program.cs"
dotnet build "$out/plugin" -c Release -v q
plugin=$(echo "$out"/plugin/bin/Release/net*/plugin)
[ "$("$plugin" "$(dirname "$consumer")/consumer.dll" "$model")" = "$text" ] || fail "the plug-in writes another text"

dotnet publish "$out/consumer" -c Release -r linux-x64 -p:PublishAot=true -p:IlcInstructionSet=x86-64-v3 \
    -o "$out/aot-consumer" -v q
[ "$(env -i HOME="$out" "$out/aot-consumer/consumer" "$model")" = "$text" ] || fail "the AOT build writes another text"

project "$out/bare" MoeKernels
cp "$here/consumer/Program.cs" "$out/bare/Program.cs"
dotnet build "$out/bare" -c Release -v q
reason=$(env -u MOEK_NATIVE "$(echo "$out"/bare/bin/Release/net*/bare)" --reason "$model")
[[ $reason == "cpu: cuda:0: MOEK1001"* ]] || fail "without the native package: $reason"

package=$out/nuget/moekernels.runtime.linux-x64/$version
cmake -S "$here" -B "$out/c" -Dmoekernels_DIR="$package/build/native/lib/cmake/moekernels" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$out/c" >/dev/null
"$out/c/sample" >"$out/c.txt"
"$consumer" --layer >"$out/managed.txt"
paste "$out/c.txt" "$out/managed.txt" | awk '
    { d = $1 - $2; if (d < 0) d = -d; if (!(d <= 1e-5)) { print "line " NR ": " $1 " against " $2; bad = 1 } n = NR }
    END { exit bad || n != 24 }' || fail "C and managed results differ"
echo "packages: console, plug-in, ahead of time, without natives, C through CMake"
