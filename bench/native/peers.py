#!/usr/bin/env python3
"""The shapes of moek_bench in cuBLAS (through PyTorch) and in Triton, one line of JSON a case.

    peers.py [--only TEXT] [--samples N]

A peer whose package is not there is skipped, by name. The Triton kernel is a fused expert product of our own: gather,
gate and up, SiLU, then down, over tokens sorted by expert. Weights rotate through more than four times the second-level
cache, calls of a sample are one CUDA graph, and results are compared before they are timed, as in moek_bench.
"""
import argparse
import json
import math
import sys

SHAPES = [  # model, rows, columns, experts, active: those of products.cpp
    ("Qwen3-30B", 768, 2048, 128, 8), ("Qwen3-30B", 2048, 768, 128, 8), ("Mixtral", 14336, 4096, 8, 2),
    ("Mixtral", 4096, 14336, 8, 2), ("Switch", 3072, 768, 128, 1), ("Switch", 768, 3072, 128, 1)]
LAYERS = [("Qwen3-30B", 2048, 768, 128, 8), ("Mixtral", 4096, 14336, 8, 2)]  # model, H, I, E, k: those of layers.cpp
DECODE_TOKENS = (1, 2, 4, 8, 16)
LAYER_TOKENS = (1, 8, 64, 512, 8192)
SAMPLE_MICROSECONDS = 3000
MOST_CALLS = 2000


def emit(**fields):
    print(json.dumps(fields), flush=True)


def percentile(values, part):
    values = sorted(values)
    place = part * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


class Bench:
    """Device, timer and lines."""

    def __init__(self, torch, options):
        self.torch, self.options = torch, options
        self.properties = torch.cuda.get_device_properties(0)
        self.l2_bytes = getattr(self.properties, "L2_cache_size", 64 << 20)

    def rotation(self, set_bytes):
        return min(4 * self.l2_bytes // max(int(set_bytes), 1) + 2, 4096)

    def sample(self, run):
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        return 1e3 * start.elapsed_time(end)

    def time(self, rotation, queue):
        """Median, 10th and 90th percentile of the microseconds of a call."""
        torch = self.torch

        def one_round():
            for call in range(rotation):
                queue(call)

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # compiles and allocates before the capture
            one_round()
        torch.cuda.current_stream().wait_stream(side)
        estimate = self.sample(one_round) / rotation
        rounds = math.ceil(SAMPLE_MICROSECONDS / (estimate * rotation))
        rounds = max(1, min(rounds, MOST_CALLS // rotation))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(rounds):
                one_round()
        for _ in range(3):
            self.sample(graph.replay)
        calls = rounds * rotation
        samples = [self.sample(graph.replay) / calls for _ in range(self.options.samples)]
        return [percentile(samples, part) for part in (0.5, 0.1, 0.9)]

    def line(self, what, model, detail, shape, tokens, times, weights, moved, flops):
        seconds = 1e-6 * times[0]
        emit(what=what, model=model, detail=detail, shape=shape, tokens=tokens, us=round(times[0], 3),
             us_p10=round(times[1], 3), us_p90=round(times[2], 3), graph=True, weights_per_s=weights / seconds,
             bytes_per_s=moved / seconds, tflop_per_s=1e-12 * flops / seconds)

    def require_close(self, actual, expected, limit):
        error = (actual.double() - expected).norm() / expected.norm()
        if not error <= limit:
            raise ValueError(f"relative error {error:.3g} is not below {limit}")

    def case(self, name, body):
        if self.options.only not in name:
            return True
        try:
            body()
            return True
        except Exception as failure:  # a peer that lacks a shape must not end the others
            emit(what=name, failed=f"{type(failure).__name__}: {failure}"[:500])
            return False


def cublas_products(bench):
    """One batched product of the active matrices: what cuBLAS has for a few tokens a matrix."""
    torch, ok = bench.torch, True
    for model, rows, columns, experts, active in SHAPES:
        def run(tokens):
            sets = bench.rotation(2 * active * rows * columns)
            weights = torch.randn(sets, active, rows, columns, device="cuda", dtype=torch.bfloat16)
            weights *= columns ** -0.5
            x = torch.rand(active, columns, tokens, device="cuda").mul_(2).sub_(1).bfloat16()
            y = torch.empty(active, rows, tokens, device="cuda", dtype=torch.bfloat16)
            torch.bmm(weights[0], x, out=y)
            bench.require_close(y, torch.bmm(weights[0].double(), x.double()), 0.008)
            times = bench.time(sets, lambda call: torch.bmm(weights[call % sets], x, out=y))
            met = active * tokens * rows * columns
            bench.line("product", model, "cuBLAS bf16", [active, rows, columns], tokens, times, met,
                       2 * (active * rows * columns + x.numel() + y.numel()), 2 * met)

        for tokens in DECODE_TOKENS:
            ok &= bench.case(f"cublas/{model}", lambda t=tokens: run(t))
    return ok


def cublas_roof(bench):
    """The largest rate of a square product: what a tensor-core kernel can hope for."""
    torch = bench.torch

    def run():
        n = 8192
        a, b = (torch.rand(n, n, device="cuda").mul_(2).sub_(1).bfloat16() for _ in range(2))
        y = torch.empty(n, n, device="cuda", dtype=torch.bfloat16)
        times = bench.time(1, lambda call: torch.mm(a, b, out=y))
        bench.line("roof/cublas", "square", "cuBLAS bf16", [n, n, n], n, times, n ** 3, 6 * n * n, 2 * n ** 3)

    return bench.case("cublas/roof", run)


def layer_problem(bench, hidden, intermediate, experts, top_k, tokens):
    """Random weights, and tokens sorted by expert with their uniform random choices."""
    torch = bench.torch
    gate_up = torch.randn(experts, 2 * intermediate, hidden, device="cuda", dtype=torch.bfloat16)
    gate_up *= hidden ** -0.5
    down = torch.randn(experts, hidden, intermediate, device="cuda", dtype=torch.bfloat16)
    down *= intermediate ** -0.5
    x = torch.rand(tokens, hidden, device="cuda").mul_(2).sub_(1).bfloat16()
    problems = []
    for _ in range(16 if tokens <= 1024 else 2):
        ids = torch.rand(tokens, experts, device="cuda").topk(top_k).indices.flatten()
        order = ids.argsort(stable=True)
        problems.append((order, torch.bincount(ids, minlength=experts)))
    return gate_up, down, x, problems


def work_items(torch, counts, block):
    """(expert, first slot, end) of every block of slots; host work, done once per routing."""
    items, first = [], 0
    for expert, count in enumerate(counts.tolist()):
        items += [(expert, first + i, first + count) for i in range(0, count, block)]
        first += count
    return torch.tensor(items, device="cuda", dtype=torch.int32)


def triton_layers(bench):
    import triton
    from triton_experts import combine, run_experts
    torch, ok = bench.torch, True
    for model, hidden, intermediate, experts, top_k in LAYERS:
        def run(tokens):
            gate_up, down, x, problems = layer_problem(bench, hidden, intermediate, experts, top_k, tokens)
            block = max(16, min(64, triton.next_power_of_2(tokens * top_k // experts)))
            plans = []
            for order, counts in problems:
                slot_of = torch.empty_like(order)
                slot_of[order] = torch.arange(len(order), device="cuda")
                plans.append((order.int(), slot_of.int(), work_items(torch, counts, block)))
            a = torch.empty(tokens * top_k, intermediate, device="cuda", dtype=torch.bfloat16)
            y = torch.empty(tokens * top_k, hidden, device="cuda", dtype=torch.float32)
            out = torch.empty(tokens, hidden, device="cuda", dtype=torch.bfloat16)

            def queue(call):
                order, slot_of, items = plans[call % len(plans)]
                run_experts(a, y, x, gate_up, down, order, items, top_k, block)
                combine(out, y, slot_of, top_k)

            queue(0)
            order, counts = problems[0]
            slot = int(plans[0][1][0])
            expert = int((counts.cumsum(0) <= slot).sum())
            both = gate_up[expert].double() @ x[0].double()
            gate, up = both[:intermediate], both[intermediate:]
            bench.require_close(y[slot], down[expert].double() @ (torch.nn.functional.silu(gate) * up), 0.024)
            times = bench.time(len(plans), queue)
            met = 3 * hidden * intermediate * top_k * tokens
            distinct = sum(int((counts > 0).sum()) for _, counts in problems) / len(problems)
            moved = 2 * (3 * hidden * intermediate * distinct + 2 * tokens * hidden)
            bench.line("layer", model, "Triton bf16, without router", [experts, top_k, hidden, intermediate], tokens,
                       times, met, moved, 2 * met)

        for tokens in LAYER_TOKENS:
            ok &= bench.case(f"triton/{model}", lambda t=tokens: run(t))
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--samples", type=int, default=25)
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        for peer in ("cublas", "triton"):
            emit(what=f"peer/{peer}", skipped="the package torch is not there")
        return 0
    if not torch.cuda.is_available():
        for peer in ("cublas", "triton"):
            emit(what=f"peer/{peer}", skipped="torch finds no CUDA device")
        return 0
    bench = Bench(torch, options)
    emit(what="peer/versions", torch=torch.__version__, cuda=torch.version.cuda, device=bench.properties.name)
    ok = cublas_roof(bench) & cublas_products(bench)
    try:
        import triton  # noqa: F401
    except ImportError:
        emit(what="peer/triton", skipped="the package triton is not there")
        return 0 if ok else 1
    return 0 if triton_layers(bench) & ok else 1


if __name__ == "__main__":
    sys.exit(main())
