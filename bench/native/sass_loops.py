#!/usr/bin/env python3
"""Innermost loops of compiled kernels, by instructions: what ROOFLINES.md counts.

    sass_loops.py [--cuobjdump PATH] [--arch sm_90a] [--kernel TEXT] OBJECT...

A loop is what lies between the target of a backward branch and that branch; an innermost one holds no other. Straight
code that a compiler unrolled counts as one turn.
"""
import argparse
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "native"))
from binary_test import ARCHITECTURE, demangle, run  # noqa: E402

INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*?);")
TARGET = re.compile(r"0x([0-9a-f]+)\s*$")
CLASSES = {  # what a class is bound by; an instruction is of the first class with a prefix of its name
    "tensor": ("HMMA", "HGMMA", "IMMA", "QGMMA"),
    "global": ("LDG", "STG", "LDGSTS", "RED", "ATOMG", "UTMALDG", "UBLKCP", "LD.", "ST."),
    "shared": ("LDS", "STS", "ATOMS", "LDSM", "STSM", "SYNCS"),
    "fp32": ("FFMA", "FADD", "FMUL", "FMNMX", "FSEL", "FSETP", "MUFU"),
    "dot": ("IDP",),
    "wait": ("BAR", "WARPSYNC", "LDGDEPBAR", "DEPBAR", "ARRIVES", "WARPGROUP", "NANOSLEEP", "YIELD", "SHFL", "VOTE"),
    "branch": ("BRA", "BSSY", "BSYNC", "EXIT", "CALL", "RET", "BREAK"),
}
ORDER = [*CLASSES, "integer"]


def class_of(opcode):
    for name, prefixes in (("global", ("LDGSTS",)), ("wait", ("LDGDEPBAR",)), *CLASSES.items()):
        if any((opcode + ".").startswith(prefix) for prefix in prefixes):
            return name
    return "integer"


def read_kernels(cuobjdump, path, wanted_arch):
    """(mangled name, [(address, opcode, operands)]) of one architecture."""
    arch, name, body = None, None, []
    for line in run(cuobjdump, "-sass", path).splitlines():
        match = ARCHITECTURE.match(line)
        if (match and match.group(1)) or "Function :" in line:
            if name and body:
                yield name, body
            name, body = None, []
            if match:
                arch = match.group(1)
            elif arch == wanted_arch:
                name = line.split("Function :")[1].strip()
        elif name:
            match = INSTRUCTION.match(line)
            if match:
                body.append((int(match.group(1), 16), match.group(2), match.group(3)))
    if name and body:
        yield name, body


def innermost_loops(body):
    loops = []
    for address, opcode, operands in body:
        target = TARGET.search(operands.strip()) if opcode.startswith("BRA") else None
        if target and int(target.group(1), 16) < address:
            loops.append((int(target.group(1), 16), address))
    return sorted({(a, b) for a, b in loops if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in loops)})


def describe(body, begin, end):
    opcodes = [opcode for address, opcode, _ in body if begin <= address <= end]
    classes = collections.Counter(class_of(opcode) for opcode in opcodes)
    names = collections.Counter(opcode.split(".")[0] for opcode in opcodes)
    by_class = ", ".join(f"{classes[name]} {name}" for name in ORDER if classes[name])
    most = ", ".join(f"{count} {name}" for name, count in names.most_common(9))
    return f"  {begin:#06x}-{end:#06x} {len(opcodes):4} instructions: {by_class}\n{'':16}{most}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuobjdump", default="cuobjdump")
    parser.add_argument("--arch", default="sm_90a")
    parser.add_argument("--kernel", default="", help="part of the kernels' names")
    parser.add_argument("objects", nargs="+")
    options = parser.parse_args()
    for path in options.objects:
        kernels = list(read_kernels(options.cuobjdump, path, options.arch))
        names = demangle([name for name, _ in kernels]) if kernels else {}
        for name, body in kernels:
            if options.kernel not in names[name]:
                continue
            print(f"{names[name]} on {options.arch}, {len(body)} instructions")
            for begin, end in innermost_loops(body):
                # A branch to itself pads the end of every kernel.
                if end > begin:
                    print(describe(body, begin, end))
    return 0


if __name__ == "__main__":
    sys.exit(main())
