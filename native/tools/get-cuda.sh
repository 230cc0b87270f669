#!/usr/bin/env bash
# Unpacks nvcc 12.4 from Debian's packages into a folder of its own.
#
#   get-cuda.sh [FOLDER] [SUITE]     default: ~/.cache/moekernels/cuda-12.4, trixie
#   CUDACXX=FOLDER/bin/nvcc cmake -S . -B build
#
# Nothing is installed: neither root nor the system's apt state is needed or touched, apt checks signatures as usual,
# and every file is checked against its package. About 1 GB is read, 210 MB stay. A complete folder is left as it is.
# nvcc is NVIDIA's: keep the folder out of the repository and out of packages.
# Exit codes: 1 a step failed, 3 no Debian mirror is configured, 4 nvcc does not run on this machine.
set -euo pipefail

folder=${1:-$HOME/.cache/moekernels/cuda-12.4}
suite=${2:-trixie}
libraries=usr/lib/x86_64-linux-gnu

if [ -e "$folder/.complete" ]; then
    echo "cuda: $folder is complete"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The mirror that this machine uses for Debian already.
find_mirror() {
    local files
    files=$(ls /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
    [ -z "$files" ] || sed -n 's|^URIs: *\([^ ]*/debian\)/\{0,1\}$|\1|p' $files
    [ ! -e /etc/apt/sources.list ] ||
        sed -n 's|^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*/debian\)/\{0,1\} .*|\2|p' /etc/apt/sources.list
}

# apt with lists, status, cache and sources of its own.
private_apt() {
    apt-get -qq -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User="$(id -un)" \
        -o Dir::Etc::SourceList="$work/debian.sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" -o Dir::Cache="$work/cache" \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

download() {
    local mirror
    mirror=$(find_mirror | head -n 1)
    if [ -z "$mirror" ]; then
        echo "cuda: no Debian mirror is configured" >&2
        exit 3
    fi
    mkdir -p "$work"/{lists/partial,cache/archives/partial,packages,root}
    : > "$work/status"
    printf '%s\n' "Types: deb" "URIs: $mirror" "Suites: $suite" "Components: main non-free" \
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" > "$work/debian.sources"
    private_apt update
    (cd "$work/packages" &&
        private_apt download nvidia-cuda-toolkit nvidia-cuda-dev libcudart12 libcu++-dev libcub-dev libthrust-dev)
}

# extract PACKAGE REGEX [BYTES]: unpacks the files whose path matches. With BYTES only so much of the package is read at
# first: what is wanted of nvidia-cuda-dev lies in the first 0.9 of its 2.5 GB. The package's md5sums decide.
extract() {
    local package limit
    package=$(ls "$work/packages/$1"_*.deb)
    dpkg-deb --ctrl-tarfile "$package" | tar -xO ./md5sums | grep -E "^[0-9a-f]+  ($2)" > "$work/sums"
    sed 's|^[0-9a-f]*  |./|' "$work/sums" > "$work/names"
    for limit in ${3:-} 1T; do
        # Both sides end early when the limit cuts the stream; the sums tell whether that matters.
        { dpkg-deb --fsys-tarfile "$package" 2>/dev/null || true; } | head -c "$limit" |
            tar -x -C "$work/root" -T "$work/names" 2>/dev/null || true
        (cd "$work/root" && md5sum --quiet -c "$work/sums" 2>/dev/null) && return 0
    done
    echo "cuda: $1 is not what its md5sums say" >&2
    return 1
}

# A tree in NVIDIA's own shape, in which nvcc finds everything relative to itself.
lay_out() {
    local root=$work/root new=$folder.new toolkit=$work/root/usr/lib/nvidia-cuda-toolkit version
    rm -rf "$new"
    mkdir -p "$new"/{bin,nvvm/bin,nvvm/libdevice,lib64}
    cp "$root"/usr/bin/* "$toolkit/bin/nvcc" "$new/bin/"
    cp -r "$toolkit/bin/crt" "$new/bin/"
    cp "$toolkit/bin/cicc" "$new/nvvm/bin/"
    cp "$toolkit/libdevice/libdevice.10.bc" "$new/nvvm/libdevice/"
    cp -r "$root/usr/include" "$new/include"
    cp "$root/$libraries"/lib*.a "$root/$libraries"/libcudart.so.* "$new/lib64/"
    version=$(basename "$(ls "$new"/lib64/libcudart.so.*.* | head -n 1)")
    ln -sf "$version" "$new/lib64/libcudart.so.12"
    ln -sf "$version" "$new/lib64/libcudart.so"
    cat > "$new/bin/nvcc.profile" <<'PROFILE'
TOP              = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/$(_NVVM_BRANCH_)/libdevice
PATH            += $(TOP)/$(_NVVM_BRANCH_)/bin:$(_HERE_):
INCLUDES        += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES       =+ $(_SPACE_) "-L$(TOP)/lib64"
CUDAFE_FLAGS    +=
PTXAS_FLAGS     +=
PROFILE
    if ! "$new/bin/nvcc" --version | grep -q 'release 12\.'; then
        echo "cuda: nvcc does not run on this machine" >&2
        exit 4
    fi
    touch "$new/.complete"
    rm -rf "$folder"
    mv "$new" "$folder"
}

mkdir -p "$(dirname "$folder")"
download
tools='usr/bin/(ptxas|fatbinary|cudafe|nvlink|bin2c|cuobjdump|nvdisasm|cu..filt)'
extract nvidia-cuda-toolkit "$tools|usr/lib/nvidia-cuda-toolkit/(bin|libdevice)/"
extract nvidia-cuda-dev "usr/include/|$libraries/libcudart_static.a|$libraries/libcudadevrt.a" 1000M
extract libcudart12 "$libraries/libcudart"
for headers in libcu++-dev libcub-dev libthrust-dev; do extract "$headers" usr/include/; done
lay_out
"$folder/bin/nvcc" --version | tail -n 1
