#!/usr/bin/env python3
"""Table of the results in a folder that on-card.sh wrote: table.py FOLDER > table.md"""
import json
import os
import sys


def read_lines(path):
    """The lines of JSON among whatever else a log has."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        found = []
        for line in file:
            if line.startswith("{"):
                try:
                    found.append(json.loads(line))
                except json.JSONDecodeError:
                    found.append({"what": "unreadable line", "failed": line.strip()[:200]})
        return found


def read_steps(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def number(value, unit=1.0, digits=2):
    return "" if value is None else f"{value / unit:.{digits}f}"


def case_row(line):
    ratio = line.get("of_floor")
    return [line["what"], line.get("model", ""), line.get("detail", ""), "×".join(map(str, line.get("shape", []))),
            str(line.get("tokens", "")), number(line["us"]), f"{line['us_p10']:.2f}–{line['us_p90']:.2f}",
            number(line.get("weights_per_s"), 1e9, 1), number(line.get("bytes_per_s"), 1e9, 0),
            number(line.get("tflop_per_s"), 1, 1), number(line.get("floor_us")), "" if not ratio else f"{ratio:.0%}"]


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
    yield ""


def write(folder):
    lines = read_lines(os.path.join(folder, "bench.jsonl")) + read_lines(os.path.join(folder, "peers.jsonl"))
    device = next((line for line in lines if line["what"] == "device"), None)
    yield f"# Native benchmarks on {device['name'] if device else 'no device'}"
    yield ""
    if device:
        yield (f"Compute capability {device['capability'] / 10:.1f}, {device['multiprocessors']} multiprocessors, "
               f"{device['l2_bytes'] >> 20} MiB of second-level cache; MoeKernels {device['version']}.")
        yield ""
    yield from table(["step", "result", "status", "seconds"], read_steps(os.path.join(folder, "steps.tsv")))
    roofs = [line for line in lines if line["what"].startswith("roof/")]
    if roofs:
        rows = [[line["what"], number(line.get("bytes_per_s"), 1e9, 0), number(line.get("tflop_per_s"), 1, 1)]
                for line in roofs if "failed" not in line]
        yield from table(["measured rate", "GB/s", "TFLOP/s"], rows)
    cases = [line for line in lines if "us" in line and not line["what"].startswith("roof/")]
    if cases:
        yield ("A floor is the bytes at `roof/read` or the operations at the tensor roof, whichever takes longer. "
               "Gweights/s counts a weight once for every token that meets it.")
        yield ""
        head = ["what", "model", "detail", "shape", "tokens", "µs", "p10–p90", "Gweights/s", "GB/s", "TFLOP/s",
                "floor µs", "of floor"]
        yield from table(head, [case_row(line) for line in cases])
    for key, title in (("failed", "Failures"), ("skipped", "Left out")):
        found = [line for line in lines if key in line]
        if found:
            yield f"## {title}"
            yield ""
            yield from table(["what", "text"], [[line["what"], line[key]] for line in found])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: table.py FOLDER")
    print("\n".join(write(sys.argv[1])).rstrip())
