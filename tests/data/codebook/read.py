"""Unpacks a codebook matrix, written from FORMAT.md alone: python3 read.py FILE NAME CODEBOOK.

Prints one row per line: the scale's bits, then the integers that it multiplies.
"""
import json
import struct
import sys


def read(path):
    """Tensors of a safetensors file: name -> (type, shape, bytes)."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    return {n: (t["dtype"], t["shape"], data[8 + length + t["data_offsets"][0]:8 + length + t["data_offsets"][1]])
            for n, t in header.items()}


def place(r, e, blocks, entries, stages):
    """Byte of entry e of row r."""
    full = stages * (64 // stages // 2 * 2)
    c, f = divmod(e, full)
    n = min(full, entries - c * full)
    b = r // 64
    t, i = divmod(b, 4)
    m = min(4, blocks - 4 * t)
    paired = f - f % 2 + 1 < n
    line = (f - f % 2) * m + 2 * i + f % 2 if paired else f * m + i
    return 64 * (c * full * blocks + 4 * t * n + line) + 2 * (r % 32) + r // 32 % 2


def main(path, name, codebook):
    tensors = read(path)
    version, rows, columns, d, stages, *rest = struct.unpack("<16i", tensors[name + ".header"][2])
    assert version == 1 and not any(rest) and tensors[codebook][1] == [stages, 128, d]
    blocks, entries = -(-rows // 64), -(-columns // d) * stages
    codes, scales = tensors[name + ".codes"][2], tensors[name + ".scales"][2]
    vectors = struct.unpack(f"<{stages * 128 * d}b", tensors[codebook][2])
    for r in range(rows):
        own = [codes[place(r, e, blocks, entries, stages)] for e in range(entries)]
        weights = [sum((1 - own[g + s] // 128 * 2) * vectors[(s * 128 + own[g + s] % 128) * d + k]
                       for s in range(stages))
                   for g in range(0, entries, stages) for k in range(d)]
        print(*struct.unpack_from("<H", scales, 2 * r), *weights[:columns])


main(*sys.argv[1:])
