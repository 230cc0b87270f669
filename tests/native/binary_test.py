#!/usr/bin/env python3
"""What can be checked of compiled kernels and libraries without a device.

    binary_test.py kernels --cuobjdump PATH --limits binary_limits.tsv OBJECT...
    binary_test.py exports --headers FOLDER LIBRARY
    binary_test.py headers --compiler PATH --headers FOLDER

kernels   registers, shared memory and instructions of every kernel and architecture, held to the limits; no kernel may
          have a stack or touch local memory, which is where ptxas puts spilled registers
exports   a library's dynamic symbols are the functions that the headers declare
headers   every public header compiles by itself as C99 and as C++17, without warnings and without hidden padding

Exit status: 0, 1 with one line for each failure, or 77 when a tool or file that the check needs is not there.
"""
import argparse
import collections
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
# Shared memory that CUDA keeps for itself in every block from compute capability 9.0 on.
SYSTEM_SHARED = 1024
# What the table says of a kernel beside its size: how it multiplies and how it moves tiles.
NOTABLE = ["HMMA", "IMMA", "HGMMA", "LDSM", "LDGSTS", "UTMALDG", "UBLKCP", "RED", "ATOMG"]
USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
OPCODE = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")
ARCHITECTURE = re.compile(r"^(?:arch =|Fatbin elf code:)\s*(sm_\w+)?")
DECLARATION = re.compile(r"^MOEK_API[^;]*?\b(moek_\w+)\s*\(", re.M)
COLUMNS = ["kernels", "arch", "registers", "shared", "required"]


class Kernel:
    """One kernel of one architecture."""

    def __init__(self, name, arch, usage):
        self.name, self.arch = name, arch
        self.registers, self.stack, self.shared, self.local = usage
        self.opcodes = collections.Counter()

    def has(self, opcode):
        return any(op == opcode or op.startswith(opcode + ".") for op in self.opcodes)

    def local_accesses(self):
        return sum(self.opcodes[op] for op in self.opcodes if op.split(".")[0] in ("LDL", "STL"))


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def demangle(names):
    """Kernel names as the source has them: without return type, namespaces of ours and parameters."""
    tool = shutil.which("c++filt")
    if tool is None:
        sys.exit(skip("c++filt"))
    text = subprocess.run([tool], input="\n".join(names), check=True, capture_output=True, text=True).stdout
    return {name: short_name(full) for name, full in zip(names, text.splitlines())}


def short_name(full):
    name = re.sub(r"\(anonymous namespace\)::|\b(?:moek|test)::", "", full)
    name = re.sub(r"\((?:unsigned |signed )?\w+(?:::\w+)*\)(-?\d)", r"\1", name)  # (int)4 -> 4
    name = re.sub(r"^void ", "", name)
    depth = 0
    for i, character in enumerate(name):
        if character == "(" and depth == 0:
            return name[:i]
        depth += (character == "<") - (character == ">")
    return name


def read_usage(cuobjdump, path):
    """Usage of each (architecture, mangled name)."""
    found, arch, name = {}, None, None
    for line in run(cuobjdump, "-res-usage", path).splitlines():
        match = ARCHITECTURE.match(line)
        if match and match.group(1):
            arch = match.group(1)
        elif line.strip().startswith("Function "):
            name = line.strip()[len("Function "):].rstrip(":")
        elif name and USAGE.search(line):
            registers, stack, shared, local = (int(n) for n in USAGE.search(line).groups())
            if int(arch[3:5]) >= 90:
                shared = max(0, shared - SYSTEM_SHARED)  # kernels without barriers do not pay it
            found[arch, name] = registers, stack, shared, local
            name = None
    return found


def read_opcodes(cuobjdump, path):
    """How often each (architecture, mangled name) has an instruction."""
    found, arch, counter = {}, None, None
    for line in run(cuobjdump, "-sass", path).splitlines():
        match = ARCHITECTURE.match(line)
        if match and match.group(1):
            arch = match.group(1)
        elif "Function :" in line:
            counter = found[arch, line.split("Function :")[1].strip()] = collections.Counter()
        elif counter is not None:
            match = OPCODE.match(line)
            if match:
                counter[match.group(1)] += 1
    return found


def read_kernels(cuobjdump, paths):
    kernels = {}
    for path in paths:
        opcodes = read_opcodes(cuobjdump, path)
        for (arch, name), usage in read_usage(cuobjdump, path).items():
            kernel = kernels.setdefault((arch, name), Kernel(name, arch, usage))
            kernel.opcodes = opcodes.get((arch, name), kernel.opcodes)
    names = demangle(sorted({name for _, name in kernels}))
    for kernel in kernels.values():
        kernel.name = names[kernel.name]
    return sorted(kernels.values(), key=lambda k: (k.name, k.arch))


def read_limits(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    if lines[0] != COLUMNS:
        raise SystemExit(f"{path}: the first line is {lines[0]}, not {COLUMNS}")
    for line in lines[1:]:
        if len(line) != len(COLUMNS):
            raise SystemExit(f"{path}: {line} has {len(line)} fields, not {len(COLUMNS)}")
    return [tuple(line) for line in lines[1:]]


def matching(limits, kernel):
    """Lines for a kernel; the first decides, so that exceptions stand above the rule."""
    return [line for line in limits
            if fnmatch.fnmatchcase(kernel.name, line[0].replace("[", "[[]"))
            and any(fnmatch.fnmatchcase(kernel.arch, arch) for arch in line[1].split(","))]


def kernel_failures(kernel, limit):
    _, _, registers, shared, required = limit
    if kernel.stack or kernel.local or kernel.local_accesses():
        yield f"{kernel.stack} bytes of stack, {kernel.local} of local memory, {kernel.local_accesses()} accesses to it"
    if kernel.registers > int(registers):
        yield f"{kernel.registers} registers, more than {registers}"
    if kernel.shared > int(shared):
        yield f"{kernel.shared} bytes of static shared memory, more than {shared}"
    for opcode in [] if required == "-" else required.split(","):
        if not kernel.has(opcode):
            yield f"no {opcode}"


def check_kernels(options):
    if not options.cuobjdump or not shutil.which(options.cuobjdump):
        return skip("cuobjdump")
    missing = [path for path in options.objects if not os.path.exists(path)]
    if missing or not options.objects:
        return skip(missing[0] if missing else "a compiled kernel")
    limits = read_limits(options.limits)
    kernels = read_kernels(options.cuobjdump, options.objects)
    architectures = {kernel.arch for kernel in kernels}
    failures, used = [], set()
    print(f"{'registers':>9} {'shared':>6} {'stack':>5} {'local':>5} {'code':>5}  arch    kernel")
    for k in kernels:
        print(f"{k.registers:9} {k.shared:6} {k.stack:5} {k.local_accesses():5} {sum(k.opcodes.values()):5}  "
              f"{k.arch:7} {k.name} {' '.join(op for op in NOTABLE if k.has(op))}")
        lines = matching(limits, k)
        used.update(lines)
        texts = kernel_failures(k, lines[0]) if lines else [f"no line of {os.path.basename(options.limits)} matches"]
        failures += [f"{k.name} on {k.arch}: {text}" for text in texts]
    for line in limits:
        if line not in used and any(fnmatch.fnmatchcase(arch, p) for arch in architectures for p in line[1].split(",")):
            failures.append(f"{os.path.basename(options.limits)}: {line[0]} on {line[1]} matches no kernel")
    return report(failures, f"{len(kernels)} kernels")


def declared(folder):
    names = set()
    for header in sorted(os.listdir(folder)):
        with open(os.path.join(folder, header), encoding="utf-8") as file:
            names.update(DECLARATION.findall(file.read()))
    return names


def check_exports(options):
    if not shutil.which("nm"):
        return skip("nm")
    if not os.path.exists(options.library):
        return skip(options.library)
    exported = {line.split()[-1].split("@")[0]
                for line in run("nm", "-D", "--defined-only", options.library).splitlines()}
    expected = declared(options.headers)
    failures = [f"{name} is declared but not exported" for name in sorted(expected - exported)]
    failures += [f"{name} is exported but not declared" for name in sorted(exported - expected)]
    return report(failures, f"{len(exported)} symbols")


def check_headers(options):
    if not shutil.which(options.compiler):
        return skip(options.compiler)
    failures = []
    headers = sorted(name for name in os.listdir(options.headers) if name.endswith(".h"))
    flags = ["-Wall", "-Wextra", "-Wpadded", "-pedantic", "-Werror", "-fsyntax-only"]
    with tempfile.TemporaryDirectory() as folder:
        for language, standard, suffix in (("c", "c99", "c"), ("c++", "c++17", "cpp")):
            for header in headers:
                source = os.path.join(folder, f"alone.{suffix}")
                with open(source, "w", encoding="utf-8") as file:
                    file.write(f'#include "moek/{header}"\n#include "moek/{header}"\n')
                command = [options.compiler, "-x", language, f"-std={standard}", *flags,
                           "-I", os.path.dirname(options.headers), source]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    failures.append(f"{header} as {standard}: {done.stderr.strip()}")
    return report(failures, f"{len(headers)} headers, twice")


def skip(what):
    print(f"skipped: {what} is not there")
    return SKIPPED


def report(failures, counted):
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{counted}, {len(failures)} failures")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    checks = parser.add_subparsers(dest="check", required=True)
    kernels = checks.add_parser("kernels")
    kernels.add_argument("--cuobjdump", default="cuobjdump")
    kernels.add_argument("--limits", required=True)
    kernels.add_argument("objects", nargs="*")
    kernels.set_defaults(run=check_kernels)
    exports = checks.add_parser("exports")
    exports.add_argument("--headers", required=True)
    exports.add_argument("library")
    exports.set_defaults(run=check_exports)
    headers = checks.add_parser("headers")
    headers.add_argument("--compiler", default="c++")
    headers.add_argument("--headers", required=True)
    headers.set_defaults(run=check_headers)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
