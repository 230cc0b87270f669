"""Writes src/MoeKernels/Text/Unicode/unicode.bin from the text files of three Unicode versions.

    python3 make_unicode_tables.py UCD8 UCD9 UCD16 unicode.bin

UCD8, UCD9 and UCD16 are folders with UnicodeData.txt (and, for 16, PropList.txt, Scripts.txt, CaseFolding.txt and
emoji-data.txt) as published by the Unicode Consortium. Why three versions: the reference tokenizers decompose and
compose by Unicode 9, BERT's categories are those of Unicode 8, and its regular expressions are Unicode 16.

Format: records of (name length byte, ASCII name, count varint, payload of count varints).
  ranges  "p:NAME", "s:SCRIPT", "8:NAME", "9:NAME": gap from the previous end, length - 1, gap, length - 1, ...
  "9:decomposition": gap of the code point, 4 * length + 2 * excluded + compatibility, then the mapping's code points
  "9:ccc": gap, length - 1, class, ...
  "f:simple": code point, folded; "f:full": code point, length, folded code points
"""
import sys
import unicodedata


def unicode_data(folder):
    first = None
    for line in open(f"{folder}/UnicodeData.txt", encoding="utf-8"):
        fields = line.rstrip("\n").split(";")
        code = int(fields[0], 16)
        if fields[1].endswith(", First>"):
            first = code
            continue
        for c in range(first if first is not None else code, code + 1):
            yield c, fields
        first = None


def properties(path):
    sets = {}
    for line in open(path, encoding="utf-8"):
        line = line.split("#")[0].strip()
        if line:
            codes, name = [x.strip() for x in line.split(";")[:2]]
            low, _, high = codes.partition("..")
            sets.setdefault(name, set()).update(range(int(low, 16), int(high or low, 16) + 1))
    return sets


def ranges(codes):
    codes = sorted(codes)
    result, end, i = [], 0, 0
    while i < len(codes):
        j = i
        while j + 1 < len(codes) and codes[j + 1] == codes[j] + 1:
            j += 1
        result += [codes[i] - end, codes[j] - codes[i]]
        end, i = codes[j] + 1, j + 1
    return result


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def record(name, values):
    return bytes([len(name)]) + name.encode("ascii") + varint(len(values)) + b"".join(map(varint, values))


def main(ucd8, ucd9, ucd16, target):
    out = b""
    groups8 = {"other": set(), "mn": set(), "punctuation": set()}
    for code, fields in unicode_data(ucd8):
        category = fields[2]
        # Surrogates are no characters; unassigned code points are not "other" to the reference.
        if category in ("Cc", "Cf", "Co"):
            groups8["other"].add(code)
        elif category == "Mn":
            groups8["mn"].add(code)
        elif category.startswith("P"):
            groups8["punctuation"].add(code)
    for name, codes in groups8.items():
        out += record("8:" + name, ranges(codes))

    assigned, marks, decomposition, classes, last = set(), set(), [], [], 0
    for code, fields in unicode_data(ucd9):
        assigned.add(code)
        if fields[2].startswith("M"):
            marks.add(code)
        if fields[3] != "0":
            if classes and classes[-1][1] == code - 1 and classes[-1][2] == int(fields[3]):
                classes[-1][1] = code
            else:
                classes.append([code, code, int(fields[3])])
        if fields[5] and not fields[5].startswith("<control"):
            compatibility = fields[5].startswith("<")
            mapping = [int(x, 16) for x in fields[5].split() if not x.startswith("<")]
            # Composition exclusions: what canonical composition does not give back (stable since Unicode 3.1).
            char = chr(code)
            excluded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", char)) != char
            decomposition += [code - last, 4 * len(mapping) + 2 * excluded + compatibility] + mapping
            last = code
    flat, end = [], 0
    for low, high, value in classes:
        flat += [low - end, high - low, value]
        end = high + 1
    out += record("9:assigned", ranges(assigned))
    out += record("9:mark", ranges(marks)) + record("9:ccc", flat) + record("9:decomposition", decomposition)

    binary = properties(f"{ucd16}/PropList.txt") | properties(f"{ucd16}/emoji-data.txt")
    for prefix, sets in (("p:", binary), ("s:", properties(f"{ucd16}/Scripts.txt"))):
        for name, codes in sorted(sets.items()):
            out += record(prefix + name, ranges(codes))

    simple, full = [], []
    for line in open(f"{ucd16}/CaseFolding.txt", encoding="utf-8"):
        fields = [x.strip() for x in line.split("#")[0].split(";")]
        if len(fields) > 2 and fields[1] in "CSF":
            code, mapping = int(fields[0], 16), [int(x, 16) for x in fields[2].split()]
            if fields[1] == "F":
                full += [code, len(mapping)] + mapping
            else:
                simple += [code] + mapping
    out += record("f:simple", simple) + record("f:full", full)
    open(target, "wb").write(out)
    print(len(out), "bytes")


main(*sys.argv[1:])
