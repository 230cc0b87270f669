"""Unpacks a stack of codebook matrices, written from FORMAT.md alone: python3 read.py FILE NAME.

Prints the bits of the input factors, then one row per line: its scale's bits and the integers that it multiplies.
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


def main(path, name):
    tensors = read(path)
    version, rows, columns, d, stages, count, books, *rest = struct.unpack("<16i", tensors[name + ".header"][2])
    assert version == 1 and not any(rest) and tensors[name + ".codebook"][1] == [books, stages, 128, d]
    blocks, entries = -(-rows // 64), -(-columns // d) * stages
    size, codes, scales = 64 * blocks * entries, tensors[name + ".codes"][2], tensors[name + ".scales"][2]
    vectors = struct.unpack(f"<{books * stages * 128 * d}b", tensors[name + ".codebook"][2])
    print(*struct.unpack(f"<{books * columns}H", tensors.get(name + ".inputs", (0, 0, b"\0<" * books * columns))[2]))
    for e, r in ((e, r) for e in range(count) for r in range(rows)):
        own = [codes[e * size + place(r, i, blocks, entries, stages)] for i in range(entries)]
        book = vectors[e % books * stages * 128 * d:]
        weights = [sum((1 - own[g + s] // 128 * 2) * book[(s * 128 + own[g + s] % 128) * d + k] for s in range(stages))
                   for g in range(0, entries, stages) for k in range(d)]
        print(*struct.unpack_from("<H", scales, 2 * (e * blocks * 64 + r)), *weights[:columns])


main(*sys.argv[1:])
