"""Experts of a layer in Triton, for comparison: gather, gate and up, SiLU, down; tokens sorted by expert."""
import triton
import triton.language as tl


@triton.jit
def gate_up_kernel(a, x, weights, order, items, hidden, intermediate, top_k, M: tl.constexpr, N: tl.constexpr,
                   K: tl.constexpr):
    """a[slot] = silu(gate x) * up x; a program is M slots of one expert and N columns of a."""
    item = items + 3 * tl.program_id(0)
    expert, first, end = tl.load(item).to(tl.int64), tl.load(item + 1), tl.load(item + 2)
    slots = first + tl.arange(0, M)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    tokens = tl.load(order + slots, mask=slots < end, other=0) // top_k
    k = tl.arange(0, K)
    x_tile = x + tokens[:, None].to(tl.int64) * hidden + k[None, :]
    gate_tile = weights + (expert * 2 * intermediate + columns[None, :]) * hidden + k[:, None]
    up_tile = gate_tile + intermediate.to(tl.int64) * hidden
    inside = columns[None, :] < intermediate
    gate = tl.zeros((M, N), tl.float32)
    up = tl.zeros((M, N), tl.float32)
    for step in range(0, hidden, K):
        left = hidden - step
        rows = tl.load(x_tile, mask=(slots[:, None] < end) & (k[None, :] < left), other=0.0)
        gate += tl.dot(rows, tl.load(gate_tile, mask=inside & (k[:, None] < left), other=0.0))
        up += tl.dot(rows, tl.load(up_tile, mask=inside & (k[:, None] < left), other=0.0))
        x_tile += K
        gate_tile += K
        up_tile += K
    result = gate * tl.sigmoid(gate) * up
    target = a + slots[:, None].to(tl.int64) * intermediate + columns[None, :]
    tl.store(target, result.to(tl.bfloat16), mask=(slots[:, None] < end) & inside)


@triton.jit
def down_kernel(y, a, weights, items, hidden, intermediate, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    """y[slot] = down a[slot], in fp32."""
    item = items + 3 * tl.program_id(0)
    expert, first, end = tl.load(item).to(tl.int64), tl.load(item + 1), tl.load(item + 2)
    slots = first + tl.arange(0, M)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    k = tl.arange(0, K)
    a_tile = a + slots[:, None].to(tl.int64) * intermediate + k[None, :]
    weight_tile = weights + (expert * hidden + columns[None, :]) * intermediate + k[:, None]
    inside = columns[None, :] < hidden
    total = tl.zeros((M, N), tl.float32)
    for step in range(0, intermediate, K):
        left = intermediate - step
        rows = tl.load(a_tile, mask=(slots[:, None] < end) & (k[None, :] < left), other=0.0)
        total += tl.dot(rows, tl.load(weight_tile, mask=inside & (k[:, None] < left), other=0.0))
        a_tile += K
        weight_tile += K
    tl.store(y + slots[:, None].to(tl.int64) * hidden + columns[None, :], total,
             mask=(slots[:, None] < end) & inside)


@triton.jit
def combine_kernel(out, y, slot_of, hidden, top_k, N: tl.constexpr):
    """out[t] = mean of the token's rows of y: equal routing weights."""
    token = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    inside = columns < hidden
    total = tl.zeros((N,), tl.float32)
    for j in range(0, top_k):
        slot = tl.load(slot_of + token * top_k + j).to(tl.int64)
        total += tl.load(y + slot * hidden + columns, mask=inside, other=0.0)
    tl.store(out + token * hidden + columns, (total / top_k).to(tl.bfloat16), mask=inside)


def run_experts(a, y, x, gate_up, down, order, items, top_k, block):
    """Queues the two products for `items` of `block` slots."""
    hidden, intermediate = x.shape[1], a.shape[1]
    columns, depth, warps = (64, 64, 4) if block < 64 else (128, 64, 8)
    shape = {"M": block, "N": columns, "K": depth, "num_warps": warps, "num_stages": 4}
    gate_up_kernel[(len(items), triton.cdiv(intermediate, columns))](
        a, x, gate_up, order, items, hidden, intermediate, top_k, **shape)
    down_kernel[(len(items), triton.cdiv(hidden, columns))](y, a, down, items, hidden, intermediate, **shape)


def combine(out, y, slot_of, top_k):
    """Queues the sum over a token's experts."""
    tokens, hidden = out.shape
    combine_kernel[(tokens, triton.cdiv(hidden, 1024))](out, y, slot_of, hidden, top_k, N=1024)
