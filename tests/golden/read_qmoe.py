"""An independent reader of FORMAT.md (src/MoeKernels/Packed): decodes every matrix and compares it with the golden.

    python3 read_qmoe.py ../data/qmoe/checkpoint
"""
import hashlib, heapq, io, json, pathlib, pickle, struct, sys, zipfile
from collections import OrderedDict

class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return (lambda storage, *rest: storage) if name == "_rebuild_tensor_v2" else name
    def persistent_load(self, pid):
        code = {"ShortStorage": "H", "IntStorage": "i", "BFloat16Storage": "H"}[pid[1]]
        return struct.unpack(f"<{pid[4]}{code}", self.zip.read(f"{self.root}/data/{pid[2]}"))

def load(path):
    reader = Reader(io.BytesIO((archive := zipfile.ZipFile(path)).read(f"{path.stem}/data.pkl")))
    reader.zip, reader.root = archive, path.stem
    return reader.load()

p = [.885, (1 - .885) / 2, (1 - .885) / 2]
pp = [p[i] * p[j] for i in range(3) for j in range(3)]
queue, entries = [(-1.0, [])], []
while len(entries) < 65536:
    prob, text = heapq.heappop(queue)
    entries += [text] if text else []
    for i in range(9 if len(text) < 14 else 0):
        heapq.heappush(queue, (prob * pp[i], text + [i]))
words = [len(t) | sum((r % 3 | r // 3 << 2) << 4 + 4 * k for k, r in enumerate(t[h:h + 7]))
         for t in entries for h in (0, 7)]
print("dictionary", hashlib.sha256(struct.pack("<131072I", *words)).hexdigest())

folder = pathlib.Path(sys.argv[1])
raw = (folder / "golden.safetensors").read_bytes()
header = json.loads(raw[8:8 + (n := struct.unpack("<Q", raw[:8])[0])])
for name in load(folder / "sizes.pt"):
    tensors = next(t for f in sorted(folder.glob("exp*.pt")) if name + ".w_comp" in (t := load(f)))
    codes, rows, levels = (tensors[name + end] for end in (".w_comp", ".row_off", ".ter_minmax"))
    (height, width), (a, b) = header[name + ".weight"]["shape"], header[name + ".weight"]["data_offsets"]
    decoded = [[(0, *levels[2 * r:2 * r + 2])[s] for c in codes[rows[r]:rows[r + 1]] for q in entries[c]
                for s in (q % 3, q // 3)][:width] for r in range(height)]
    assert struct.pack(f"<{height * width}H", *sum(decoded, [])) == raw[8 + n + a:8 + n + b], name
    print("equal", name, height, width)
