#!/usr/bin/env bash
# Everything that only a card can show, on a machine with a card, nvcc (12.4 or newer), CMake and Python, but no .NET.
#
#     bash bench/native/on-card.sh [OUT] [STEP...]
#
# OUT is the folder for the results, bench/results/DATE-DEVICE if not given. Steps, all of them if none is named:
#   build      the library, the tests and the benchmarks, for this card alone
#   tests      the native tests on the card
#   managed    the carried managed tests of the device backend over the CUDA library (carry.sh makes the archive)
#   sanitizer  memcheck, racecheck and synccheck on the small tests
#   bench      moek_bench
#   peers      cuBLAS and Triton on the same shapes
# A step that fails is recorded, and the script goes on. Exit status: 0, or 1 when a step failed.
#
# CUDACXX names the compiler. MOEK_BUILD is the build folder (artifacts/native/on-card), MOEK_CARRIED the archive of
# the managed tests (artifacts/carry/managed-tests.tar.xz), MOEK_ONLY the benchmarks to run (--only), MOEK_ARCHITECTURES
# what to compile for where there is no card to ask.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

steps_known="build tests managed sanitizer bench peers"
build=${MOEK_BUILD:-artifacts/native/on-card}
carried=${MOEK_CARRIED:-artifacts/carry/managed-tests.tar.xz}
# nvidia-smi writes its complaints to the standard output.
device=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0 2>/dev/null) || device=
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 2>/dev/null) || capability=
capability=$(printf '%s' "$capability" | tr -d '. ')
slug=$(printf '%s' "${device:-no-device}" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
out=${1:-bench/results/$(date -u +%F)-$slug}
shift $(($# > 0 ? 1 : 0))
wanted=" ${*:-$steps_known} "
for step in $wanted; do
    case " $steps_known " in
        *" $step "*) ;;
        *) echo "on-card.sh: '$step' is not one of: $steps_known" >&2; exit 2 ;;
    esac
done
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
failed=0

# step NAME LOG FUNCTION: runs one step and notes how it ended: ok, skipped (status 77) or failed.
step() {
    [[ $wanted == *" $1 "* ]] || return 0
    local begin=$SECONDS code=0 verdict=ok
    echo "== $1"
    "$3" >"$out/$2" 2>&1 || code=$?
    if [ "$code" -eq 77 ]; then verdict=skipped; elif [ "$code" -ne 0 ]; then verdict=failed; failed=1; fi
    grep -v "^$1"$'\t' "$out/steps.tsv" 2>/dev/null >"$out/steps.new"
    printf '%s\t%s\t%s\t%s\n' "$1" "$verdict" "$code" "$((SECONDS - begin))" >>"$out/steps.new"
    mv "$out/steps.new" "$out/steps.tsv"
    echo "   $verdict, status $code, $((SECONDS - begin)) s"
    [ "$verdict" = ok ] || tail -n 5 "$out/$2" | sed 's/^/   /'
}

architecture() {
    case $capability in
        "") echo "${MOEK_ARCHITECTURES:-80-real;89-real;90a-real}" ;;
        90) echo 90a-real ;;
        *) echo "$capability-real" ;;
    esac
}

run_build() {
    nvidia-smi || echo "nvidia-smi: no card or no driver"
    local generator=() go_on=(-k)
    if command -v ninja >/dev/null; then generator=(-G Ninja) go_on=(-k 0); fi
    cmake -S . -B "$build" "${generator[@]}" -DMOEK_CUDA=ON -DMOEK_BENCH=ON -DMOEK_TEST_VARIANTS=cuda \
        -DMOEK_WARNINGS_FAIL=OFF "-DMOEK_CUDA_ARCHITECTURES=$(architecture)" || return 1
    "$(sed -n 's/^CMAKE_CUDA_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")" --version
    cmake --build "$build" --parallel --target moekernels_cuda || return 1
    # The rest as far as it goes: a program that does not compile must not keep the others from running.
    cmake --build "$build" --parallel --target moek_card_tests moek_bench -- "${go_on[@]}"
}

run_tests() {
    ctest --test-dir "$build" -L 'cuda|binary' --output-on-failure --no-tests=error
}

run_managed() {
    [ -f "$carried" ] || { echo "skipped: $carried is not there (bench/native/carry.sh makes it)"; return 77; }
    # Inside the checkout, where the tests find their data.
    local folder=artifacts/carried
    rm -rf "$folder" && mkdir -p "$folder" && tar -xf "$carried" -C "$folder" || return 1
    # Tests of the device skip where the library does not load: none may, here.
    MOEK_NATIVE="$(cd "$build" && pwd)/libmoekernels_cuda.so" "$folder/managed-tests/MoeKernels.Tests" \
        --filter-class 'MoeKernels.Tests.Models.Placement.Device*' --progress off | tee "$folder/log" || return 1
    grep -Eq '^ *succeeded: [1-9]' "$folder/log" && grep -Eq '^ *skipped: 0$' "$folder/log"
}

run_sanitizer() {
    command -v compute-sanitizer >/dev/null || { echo "skipped: compute-sanitizer is not there"; return 77; }
    local code=0 tool program
    for program in "$build"/tests/native/cuda/*_test; do
        for tool in memcheck racecheck synccheck; do
            echo "== $tool $program"
            timeout "${MOEK_SANITIZER_SECONDS:-120}" \
                compute-sanitizer --tool "$tool" --error-exitcode 1 --print-limit 20 "$program" || code=1
        done
    done
    return $code
}

run_bench() {
    "$build/bench/moek_bench" --only "${MOEK_ONLY:-}"
}

run_peers() {
    python3 bench/native/peers.py --only "${MOEK_ONLY:-}"
}

step build build.log run_build
step tests tests.log run_tests
step managed managed.log run_managed
step sanitizer sanitizer.log run_sanitizer
step bench bench.jsonl run_bench
step peers peers.jsonl run_peers
python3 bench/native/table.py "$out" >"$out/table.md" || failed=1
echo "results: $out"
exit $failed
