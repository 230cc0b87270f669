#!/usr/bin/env python3
"""Seeds one fault at a time and demands that the named test program fails.

A mutation is a line of mutations.tsv: id, file, text to find (exactly once), replacement, test program, what the fault
stands for; separated by tabs, \\n and \\t in the texts written as such. For each one the tree is copied, changed, and
the one program built and run in the variants, cheapest first, until one fails. The result is MUTATIONS.md.

    python3 tests/native/mutate.py                     all of them, and MUTATIONS.md
    python3 tests/native/mutate.py barrier router      those whose id contains a word, and their rows
    python3 tests/native/mutate.py --new               those without a row
    python3 tests/native/mutate.py --variants plain    without the sanitizers; MUTATIONS.md is left alone
    python3 tests/native/mutate.py --check             only that every text occurs once and every fault has a row
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REPORT = HERE / "MUTATIONS.md"
VARIANTS = ("plain", "asan", "tsan")
LIMIT_SECONDS = 300

# A fault may leave a name unused; the test has to catch it, not the compiler.
UNUSED = ("parameter", "variable", "but-set-variable", "but-set-parameter", "function", "value", "local-typedefs")


class Mutation:
    """One line of mutations.tsv."""

    def __init__(self, line, number):
        fields = line.split("\t")
        if len(fields) != 6:
            raise ValueError(f"mutations.tsv:{number}: {len(fields)} fields, not 6")
        self.id, self.file, find, replacement, self.program, self.fault = fields
        self.find = find.replace("\\n", "\n").replace("\\t", "\t")
        self.replacement = replacement.replace("\\n", "\n").replace("\\t", "\t")

    def problem(self, root):
        """Why it cannot be applied, or None."""
        path = root / self.file
        if not path.is_file():
            return f"{self.id}: no file {self.file}"
        count = path.read_text().count(self.find)
        return None if count == 1 else f"{self.id}: the text occurs {count} times in {self.file}"

    def apply(self, root):
        """Changes the file; returns the bytes to put back."""
        path = root / self.file
        before = path.read_text()
        path.write_text(before.replace(self.find, self.replacement))
        return before


def load():
    """All mutations, in the order of the file."""
    lines = (HERE / "mutations.tsv").read_text().splitlines()
    numbered = enumerate(lines, 1)
    mutations = [Mutation(line, n) for n, line in numbered if line and not line.startswith("#")]
    ids = [m.id for m in mutations]
    for twice in {i for i in ids if ids.count(i) > 1}:
        raise ValueError(f"mutations.tsv: {twice} stands there twice")
    return mutations


def copy_tree(destination):
    """What the native build reads."""
    destination.mkdir()
    shutil.copy(ROOT / "CMakeLists.txt", destination)
    for folder in ("native", "tests/native"):
        shutil.copytree(ROOT / folder, destination / folder)


def run(command, cwd, limit=None):
    """Exit code and output; 124 when it ran out of time."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=limit, errors="replace")
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return 124, "timed out"


def build(tree, program, variant, jobs):
    """Builds one program; the compiler's output on failure, else None."""
    target = f"{program}_{variant}"
    code, output = run(["cmake", "--build", "build", "--target", target, "-j", str(jobs)], tree)
    return None if code == 0 else output


def room_of(program):
    """The folder of the program's source."""
    sources = [p for p in HERE.rglob(f"{program}.c*") if p.suffix in (".cu", ".cpp")]
    if len(sources) != 1:
        raise ValueError(f"mutations.tsv: {len(sources)} sources of {program}")
    return sources[0].parent.name


def configure(tree, rooms, variants):
    """Output on failure, else None. Only the kernels of these rooms are compiled."""
    command = ["cmake", "-S", ".", "-B", "build", "-DMOEK_CUDA=OFF", "-DMOEK_TEST_ROOMS=" + ";".join(rooms),
               "-DMOEK_TEST_VARIANTS=" + ";".join(variants),
               "-DCMAKE_CXX_FLAGS=" + " ".join(f"-Wno-error=unused-{name}" for name in UNUSED)]
    code, output = run(command, tree)
    return None if code == 0 else output


def check_unmutated(tree, program, variant, jobs, checked):
    """Ends the run when a program fails as it is: it would seem to catch everything. Once for each variant."""
    if (program, variant) in checked:
        return
    error = build(tree, program, variant, jobs)
    if error is None:
        code, error = run([str(tree / "build/tests/native" / variant / program)], tree, LIMIT_SECONDS)
        if code == 0:
            checked.add((program, variant))
            return
    sys.exit(f"{program} fails without a mutation in {variant}:\n{error[-2000:]}")


def first_line(output):
    """The line that says what was found."""
    marks = ("SUMMARY:", "runtime error:", "_test.c")
    for line in output.splitlines():
        if any(mark in line for mark in marks):
            return line.split("/tests/native/")[-1].strip()[:100].replace("|", "/")
    return (output.strip().splitlines() or ["no output"])[-1][:100].replace("|", "/")


def try_mutation(tree, mutation, variants, jobs, checked):
    """The variant that failed, or None, and what it said."""
    for variant in variants:
        check_unmutated(tree, mutation.program, variant, jobs, checked)
        before = mutation.apply(tree)
        try:
            error = build(tree, mutation.program, variant, jobs)
            if error is not None:
                return "compiler", first_line(error)
            program = tree / "build/tests/native" / variant / mutation.program
            code, output = run([str(program)], tree, LIMIT_SECONDS)
            if code != 0:
                return variant, first_line(output)
        finally:
            (tree / mutation.file).write_text(before)
    return None, ""


def head():
    """The commit at hand."""
    return run(["git", "rev-parse", "--short", "HEAD"], ROOT)[1].strip()


def old_rows():
    """Rows of the report by the fault's id."""
    lines = REPORT.read_text().splitlines() if REPORT.is_file() else []
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| id ")]
    return {row.split("|")[1].strip(): row for row in rows}


def write_report(mutations, results):
    """MUTATIONS.md, in the order of mutations.tsv; what was not run keeps its row."""
    commit, rows = head(), old_rows()
    for mutation, variant, said in results:
        caught = variant or "**nothing**"
        cells = (mutation.id, mutation.fault, f"`{mutation.file}`", f"`{mutation.program}`", caught, commit, f"`{said}`")
        rows[mutation.id] = "| " + " | ".join(cells) + " |"
    lines = [
        "# Seeded faults",
        "",
        "Written by `python3 tests/native/mutate.py`; the faults are in `mutations.tsv`. \"Caught by\" is the cheapest",
        "variant whose test program failed: plain, ASan + UBSan, TSan. \"At\" is the commit that was changed.",
        "",
        "| id | fault | file | test program | caught by | at | said |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [rows[m.id] for m in mutations if m.id in rows]
    REPORT.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="run mutations whose id contains one of these")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--new", action="store_true", help="run mutations without a row in MUTATIONS.md")
    parser.add_argument("--check", action="store_true", help="only check that mutations apply and have rows")
    arguments = parser.parse_args()
    mutations = load()
    recorded = old_rows()
    problems = [p for p in (m.problem(ROOT) for m in mutations) if p]
    if arguments.check:
        problems += [f"{m.id}: no row in MUTATIONS.md" for m in mutations if m.id not in recorded]
    if problems or arguments.check:
        print("\n".join(problems) or f"{len(mutations)} mutations apply")
        return 1 if problems else 0
    chosen = [m for m in mutations if not arguments.words or any(w in m.id for w in arguments.words)]
    chosen = [m for m in chosen if not arguments.new or m.id not in recorded]
    variants = arguments.variants.split(",")
    results = []
    with tempfile.TemporaryDirectory(prefix="moek-mutate-") as folder:
        tree = pathlib.Path(folder) / "tree"
        copy_tree(tree)
        programs = sorted({m.program for m in chosen})
        failure = configure(tree, sorted({room_of(p) for p in programs}), variants)
        if failure:
            print(failure)
            return 2
        checked = set()
        for mutation in chosen:
            variant, said = try_mutation(tree, mutation, variants, arguments.jobs, checked)
            print(f"{mutation.id}: {'caught by ' + variant if variant else 'NOT CAUGHT'}  {said}", flush=True)
            results.append((mutation, variant, said))
    if variants == list(VARIANTS):
        write_report(mutations, results)
    missed = [m.id for m, variant, _ in results if variant is None or variant == "compiler"]
    print(f"{len(results) - len(missed)} of {len(results)} caught" + (f"; not: {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
