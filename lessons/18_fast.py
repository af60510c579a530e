"""How close to the hardware can it run?

Question: a training step is a few matrix products and the loops around them. How close to the products alone can the
whole step come, and what stands in the way?
"""

# %% [markdown]
# **Needs:** lesson 04, for one layer's forward and backward pass and for what a network's pass is made of. About 15
# minutes. Arrays carry their shapes: B data points in a batch, n inputs and m outputs of a layer. *BLAS* is the library
# that multiplies matrices for NumPy; a *cache* is the small fast memory beside a processor's core. Times depend on your
# machine and on what else it does, so what the lesson says of them it computes; the gradients do not depend on either.

# %%
import contextlib
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import bench
from tinyvae.kernels import dense, optimizers, passes
from tinyvae.machine import arena, blas, team, workers

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"  # ways to run a loop: no estimators here
rng = np.random.default_rng(0)


def race(ways):
    """{way: the ms that a tenth of its times fall below}, run in turns: the machine, when others leave it alone."""
    with blas.one_thread():
        return {way: bench.milliseconds(times)["low"] for way, times in bench.alternate(ways, 10, 0.05).items()}


def products(*triples):
    """A function that makes these products (a, b, where to) and nothing else."""
    return lambda: [np.dot(a, b, out=out) for a, b, out in triples]


# %% [markdown]
# ## One layer, three ways
# A layer of the size that people train: 784 pixels to 500 units, a batch of 100, float32. We time forward plus
# backward: three matrix products, and around them the bias, tanh, its slope, and the sum for db.
#
# **Predict before you run:** how many times faster would NumPy's three lines become if all but the products were free?

# %%
B, n, m = 100, 784, 500
x, W, b = rng.random((B, n), "float32"), rng.standard_normal((n, m), "float32") / np.float32(28), np.zeros(m, "float32")
dy = rng.standard_normal((B, m), "float32")  # B, m


def numpy_plain():
    y = np.tanh(x @ W + b)  # B, m
    da = dy * (1 - y * y)  # B, m
    return da @ W.T, x.T @ da, da.sum(axis=0)  # B, n; n, m; m


# %% [markdown]
# **Stop asking for memory, and stop walking over the data again and again.** Each operation of NumPy makes a new array
# for its result: `dy * (1 - y * y)` makes three. And `y + b`, then `tanh`, are two passes over the same array, each of
# which loads and stores all of it. A compiled loop does both while the number is at hand, and writes where it wrote
# last time: it is *fused*. Such loops are in `tinyvae/kernels/dense.py`, each directly below the NumPy lines that it
# replaces, its *twin*; the products stay with BLAS:
#
#     for i in range(a.shape[0]):
#         for j in range(a.shape[1]):
#             a[i, j] = tanh(a[i, j] + b[j])

# %%
y, da = np.empty((2, B, m), "float32")  # B, m each
dx, dW, db = np.empty_like(x), np.empty_like(W), np.empty_like(b)  # B, n; n, m; m


def fused():
    np.dot(x, W, out=y)
    dense.bias_tanh(y, b)  # y <- tanh(y + b)
    np.copyto(da, dy)
    dense.tanh_backward(da, y)  # da <- da (1 - y²)
    np.dot(x.T, da, out=dW)
    dense.column_sums(da, db)
    np.dot(da, W.T, out=dx)


fused()
for ours, theirs in zip((dx, dW, db), numpy_plain()):
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()  # float32: each rounds in its own order
floor = products((x, W, y), (x.T, dy, dW), (dy, W.T, dx))
layer_ms = race({"NumPy": numpy_plain, "fused loops": fused, "products alone": floor})
for name, ms in layer_ms.items():
    print(f"{name:<16}{ms:8.3f} ms, {ms / layer_ms['products alone']:.2f} times the products")

# %% [markdown]
# ## What the hardware allows: the roofline
# A loop must do two things: move bytes, and calculate. Where both go on at once, it takes at least the longer of the
# two times. In other words, with I = operations / bytes, the loop's **arithmetic intensity**,
#
#     operations a second  ≤  min(peak, I · bandwidth)
#
# (Williams, Waterman & Patterson 2009). On a log-log plot this is a slanted roof that ends in a flat one. On one
# thread we measure the roofs: bandwidth from a += 2 b on arrays far larger than the cache and on arrays that fit into
# it, the peak from a large matrix product; then our loops, each compiled and as its NumPy twin. In x W every number
# that is loaded takes part in many multiplications: 38 operations a byte, if each matrix moves once. tanh, a ratio of
# two polynomials, takes some 20 operations for 8 bytes, one number read and one written: 2.5. Adam reads four numbers
# for each weight and writes three, 28 bytes in float32, with 13 operations between them: 0.46. What helps such a loop
# is to visit the data once instead of once for each operator in the formula: to make fewer passes.

# %%
sizes = {"memory": 200_000_000, "cache": 400_000}  # bytes
roof = {place: max(bench.bandwidth(size, threads=1) for _ in range(6)) for place, size in sizes.items()}  # GB/s
with blas.one_thread():
    peak = max(bench.peak() for _ in range(6))  # GFLOP/s
print(f"memory {roof['memory']:.0f} GB/s, cache {roof['cache']:.0f} GB/s, products {peak:.0f} GFLOP/s")
P, elements = n * m, B * m
adam = *np.full((4, P), 1e-3, "float32"), 1e-3, 0.9, 0.999, 1.0, 1e-8  # P each: weights, gradient, two averages
flops = {"x W": 2 * B * n * m, "tanh(a + b)": 20 * elements, "Adam": 13 * P}
moved = {"x W": 4 * (B * n + n * m + B * m), "tanh(a + b)": 8 * elements, "Adam": 28 * P}  # bytes
ways = {
    "x W": {"BLAS": products((x, W, y))},
    "tanh(a + b)": {"fused": lambda: dense.bias_tanh(y, b), "NumPy": lambda: dense.bias_tanh_numpy(y, b)},
    "Adam": {"fused": lambda: optimizers.adam(*adam), "NumPy": lambda: optimizers.adam_numpy(*adam)},
}
intensity, reached = {name: flops[name] / moved[name] for name in ways}, {}
assert [round(value, 2) for value in intensity.values()] == [37.66, 2.5, 0.46]
for name, functions in ways.items():
    loop_ms = race(functions)
    reached[name] = {way: 1e-6 * flops[name] / ms for way, ms in loop_ms.items()}  # GFLOP/s
    allowed = " and ".join(f"{min(peak, intensity[name] * roof[place]):.1f} from {place}" for place in roof)
    print(f"{name}: {intensity[name]:.2f} operations a byte, which allows {allowed} GFLOP/s")
    print(*(f"    {way}: {reached[name][way]:.1f} GFLOP/s, {ms:.3f} ms" for way, ms in loop_ms.items()), sep="\n")

# %%
fig, ax = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
axis = np.geomspace(0.1, 200, 200)
for place, line in (("cache", "--"), ("memory", "-")):
    label = f"what {place} allows, {roof[place]:.0f} GB/s"
    ax.loglog(axis, np.minimum(peak, axis * roof[place]), line, color="black", lw=1.2, label=label)
ax.text(190, 1.12 * peak, f"what arithmetic allows, {peak:.0f} GFLOP/s", ha="right", fontsize=10)
text = {"textcoords": "offset points", "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
for name, rates in reached.items():
    at, low, high = intensity[name], min(rates.values()), max(rates.values())
    ax.plot([at, at], [low, high], color=GREY, lw=1.5, zorder=1)
    ax.annotate(name, (at, low), (0, -20), ha="center", fontsize=11, **text)
    if len(rates) > 1:
        ax.annotate(f"{rates['fused'] / rates['NumPy']:.1f} times", (at, np.sqrt(low * high)), (8, -4), **text)
for way, marker, color in (("BLAS", "s", GREEN), ("fused", "o", BLUE), ("NumPy", "^", ORANGE)):
    found = [(intensity[name], rates[way]) for name, rates in reached.items() if way in rates]
    ax.plot(*zip(*found), marker, color=color, ms=9, label=way)
share = {place: min(1, intensity["Adam"] * roof[place] / peak) for place in roof}
ax.set_title(f"Of the peak, its bytes leave Adam {share['memory']:.0%} from memory and {share['cache']:.0%} from cache")
ylim = 0.5 * min(min(rates.values()) for rates in reached.values()), 3 * peak
ax.set(xlabel="arithmetic intensity, operations a byte", ylabel="GFLOP/s", xlim=(0.1, 200), ylim=ylim)
ax.legend(frameon=False, loc="lower right")
fig.savefig(FIGURES / "18_roofline.png", dpi=130)

# %% [markdown]
# A grey line between a triangle and its circle is what fusion bought; the number says how much. Adam's four arrays have
# 6 MB here; where they stay in a cache, the dashed roof is theirs. Roofs are measured, too: a point above both was
# measured while less else ran. Measure before you write a loop; where the products take nearly all of the time, stop.
#
# ## A network in one call
# A network has many layers. Each product writes its result out, and the loop behind it reads it in again; each is a
# call from Python; and all of it is one thread's. So the package compiles the *pass* over a whole network, `forward`,
# `deltas` and `weight_gradients` in `tinyvae/kernels/passes.py`, each directly below the NumPy lines that say the same,
# and calls BLAS from inside, for one **block** of a result after the other:
#
#     for each layer:
#         for each block of h W:                # taken by whichever thread is free
#             the block <- its rows of h times its columns of W     (BLAS)
#             the block <- act(block + b)       # while it is in the cache
#         wait until all blocks are done
#
# We time an encoder 784-500-40 forward and backward, on one thread: its five products, then blocks of two sizes.

# %%
mlp, again = tv.MLP((n, m, 40), rng=rng), arena.Arena()
fast = mlp.using(again)  # its arrays are used again: no new memory, as above
dout, W0, W1 = rng.standard_normal((B, 40), "float32"), mlp.params["W0"], mlp.params["W1"]  # B, 40; n, m; m, 40
(h, dh), out = np.empty((2, B, m), "float32"), np.empty_like(dout)  # B, m each; B, 40
dW1, grads = np.empty_like(W1), np.empty_like(mlp.theta)


def whole_mlp(sizes=None):
    again.rewind()
    with team.cut_into(sizes):  # blocks of other sizes; no effect where passes cannot call BLAS
        _, cache = fast.propagate(x)
        fast.backpropagate(cache, dout, grads)
    return grads


@contextlib.contextmanager
def threads(number):
    """A context in which passes have so many threads, and BLAS one."""
    os.environ["TINYVAE_WORKERS"] = str(number)
    with team.ready():
        yield


one_by_one = products((x, W0, h), (h, W1, out), (dout, W1.T, dh), (x.T, dh, dW), (h.T, dout, dW1))
n_threads = workers.count()
with threads(1):
    turns = {"large blocks": lambda: whole_mlp(blas.LARGE), "small blocks": lambda: whole_mlp(blas.SMALL)}
    network_ms = {f"{name}, 1 thread": ms for name, ms in race({"products": one_by_one, **turns}).items()}
floor_ms = network_ms["products, 1 thread"]

# %% [markdown]
# **Why small blocks?** A BLAS that multiplies large matrices first copies them, piece by piece, into an order that its
# innermost loop, its *kernel*, likes: it *packs* them. For a batch of a hundred rows that can cost much beside the
# product. Where a processor has AVX-512 (instructions on 16 numbers at a time), OpenBLAS has a second way, without
# packing, for products of at most a million multiply-adds. A block of 50 rows and 64 columns, with sums of 784 terms,
# has two and a half million: its sums are cut, too, into chunks. OpenBLAS tells the name of its kernels, and by that
# name, not by a measurement, the package chooses; whether it chose well here, the lines below tell.
#
# How a matrix is cut depends on its shape and nothing else. So whoever computes a block, the sums inside it are the
# same, in the same order: **one thread or several, the gradient has the same bits.**

# %%
several, found = max(2, n_threads), {}
for number in (1, several):
    with threads(number):
        found[number] = [whole_mlp(sizes).copy() for sizes in (blas.LARGE, blas.SMALL)]
assert np.array_equal(found[1], found[several])  # the same bits
print(f"{bench.machine()['way']}; 1 and {several} threads: the same bits, in large blocks and in small ones")
with threads(n_threads):
    network_ms[f"blocks chosen, threads: {n_threads}"] = race({"blocks": whole_mlp})["blocks"]
for name, ms in network_ms.items():
    print(f"{name:<28}{ms:8.3f} ms, {ms / floor_ms:.2f} times the products")

# %% [markdown]
# ## What it costs to meet
# Threads that share a pass take **tickets**: a counter in memory says which block is the next, and whoever is free adds
# one to it. Another counts the blocks that are done; when it has reached their number, the next layer may begin. To
# wait for that is a *barrier*. The waiting threads read the counter again and again (they *spin*), for to be put to
# sleep and woken takes longer than many a layer. A thread that has waited for some two milliseconds takes the machine
# for busy: the calling thread does the next calls alone, with the same bits.
#
# What is one such meeting? We give the team a network with a single unit in each layer: what a further layer takes is
# the ticket, the call of BLAS, and the meeting. A single such layer shows what the call from Python takes. Where more
# threads take no longer than one, the machine may have been busy, and one of them worked alone.

# %%
single = np.dtype("float32")
identity, one_number = team.Typed(dense.bias_identity, (single, 2), (single, 1)), np.ones((1, 1), "float32")


def chain(n_layers):
    sizes, weights = (1,) * (n_layers + 1), np.ones(2 * n_layers, "float32")
    hidden, last = np.empty(n_layers - 1, "float32"), np.empty((1, 1), "float32")
    return lambda: team.run(single, (passes.forward, identity, sizes, 1, weights, one_number, hidden, hidden, last))


for number in sorted({1, n_threads}):
    with threads(number):
        us = {name: 1e3 * ms for name, ms in race({"long": chain(201), "short": chain(1)}).items()}
    meeting = (us["long"] - us["short"]) / 200  # us
    print(f"threads: {number}, a layer of one unit {1e3 * meeting:.0f} ns, the call from Python {us['short']:.1f} us")

# %% [markdown]
# ## Where the last microseconds are
# A whole training step of a VAE 784-500-20: minibatch, noise, both networks forward and backward, the estimator, Adam.
# It calls the team five times, each time for one pass or for two that run one after the other. `forward` meets once a
# layer, `deltas` too, but for the encoder's first layer, whose input needs no gradient; any other pass once, and the
# decoder's `weight_gradients`, which weights the rows first, twice: 12 meetings. All else one thread does alone:
#
#     time(N)  =  alone + shared / N + meetings · time of a meeting,     N > 1
#
# if nobody waits for the slowest. The first two terms are Amdahl's (1967).
#
# **Predict before you run:** if the shared passes took no time at all, what part of the step would be left?

# %%
vae, calls, spent, run = tv.VAE(n, 20, (m,), seed=0), [], [], team.run
step = bench.training_step(vae, bench.pixels(1000, n, binary=False), B)


def counted(dtype, *call):
    calls.append([(getattr(f, "twin", f).__name__.removesuffix("_numpy"), arguments) for f, *arguments in call])
    run(dtype, *call)


def timed(name, function):
    def call(*arguments, **options):
        began = time.perf_counter()
        result = function(*arguments, **options)
        spent[-1][name] = spent[-1].get(name, 0) + 1e3 * (time.perf_counter() - began)  # ms in the present step
        return result

    return call


with threads(n_threads):
    team.run = counted
    step()
    team.run = run
    ms = race({"step": step, "products": bench.bare_products(vae, B)})
    with bench.replaced(timed):  # each pass by itself
        for _ in range(100):
            spent.append({})
            timed("step", step)()
names, n_meetings = [name for call in calls for name, _ in call], 0
for name, a in sum(calls, []):
    layered, weighing = name in ("forward", "deltas"), name == "weight_gradients" and a[6] is not None
    n_meetings += len(a[1]) - 1 - (a[-1] is None) if layered else 1 + weighing
assert not team.usable() or (len(calls), max(map(len, calls)), len(names), n_meetings) == (5, 2, 8, 12)
one = sorted(spent, key=lambda parts: parts["step"])[10]  # a tenth of the steps took less
parts = {name: one[name] for name in sorted(set(names), key=one.get, reverse=True)}
parts["loops that Python calls"] = sum(one.values()) - one["step"] - sum(parts.values())
parts["Python, NumPy"] = one["step"] - sum(parts.values())
alone = parts["loops that Python calls"] + parts["Python, NumPy"]
print(*(f"{name:<26}{part:8.3f} ms" for name, part in parts.items()), sep="\n")
print(f"alone: {alone:.3f} ms of {one['step']:.3f}, {alone / one['step']:.0%}")
print(f"{n_meetings} meetings, each as long as a layer of one unit: {n_meetings * meeting:.1f} us")
fig, axes = plt.subplots(1, 2, figsize=(11.5, 4.0), layout="constrained")
best = min(list(network_ms.values())[1:]) / floor_ms
titles = f"Blocks: at best {best:.2f} times the products", f"Hatched: {alone / one['step']:.0%} of a step is not shared"
for ax, values, title, of in zip(axes, (network_ms, parts), titles, ("an encoder", "a training step")):
    for place, (name, value) in enumerate(values.items()):
        color = GREEN if name.startswith("products") else ORANGE if name in list(parts)[-2:] else BLUE
        ax.barh(place, value, color=color, hatch="//" if color == ORANGE else None, edgecolor="white")
        ax.annotate(f"{value:.3g}", (value, place), (5, 0), va="center", **text)
    ax.invert_yaxis()
    ax.set_yticks(range(len(values)), values)
    ax.set(xlabel=f"ms, {of}", title=title, xlim=(0, 1.2 * max(values.values())))
axes[0].axvline(floor_ms, color="black", ls="--", lw=1)
fig.savefig(FIGURES / "18_step.png", dpi=130)

# %% [markdown]
# ## What changed
# **Believed before:** Python is slow, so a network in Python must be; to be fast one needs a compiled framework.
# **Believe now:** the products are a BLAS's in every framework. What a package can waste is around them: memory that is
# visited too often, packing, meetings, Python. **The number that changed it:** the step over its bare products.
#
# **Sources:** Williams, Waterman & Patterson 2009, "Roofline"; Goto & van de Geijn 2008, "Anatomy of high-performance
# matrix multiplication" (packing); Amdahl 1967.
#
# **Exercises:** `tinyvae exercise 18`
# - `intensity_of_sgd`: operations and bytes of SGD with momentum.
# - `least_time`: the least time that the two roofs allow a loop.
# - `step_on_threads`: what N threads and their meetings leave of a step.

# %%
assert 1_000_000 < 50 * 64 * 784 == 2_508_800 and round(4 * 4 * P / 1e6) == 6
print(
    f"Headline: a fused layer {layer_ms['fused loops'] / layer_ms['products alone']:.2f} times its products; "
    f"a whole training step {ms['step'] / ms['products']:.2f} times its own (threads: {n_threads})."
)
