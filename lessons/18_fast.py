"""Backprop by hand, and where its time goes

Question: how do you differentiate a dense layer with pencil and paper, and how close to the hardware's limit can the
result run?

There is no autograd in this package. This lesson derives one layer's backward pass index by index, checks each formula
against finite differences, and then makes the same six lines faster, step by step, until only the matrix products are
left.
"""

# %% [markdown]
# You need the chain rule and NumPy. Every array carries its shape at the end of the line: B is the number of data
# points in a batch, n the inputs and m the outputs of a layer. Times depend on your machine, and vary from run to run;
# the gradients do not.

# %%
import contextlib
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import bench, check
from tinyvae.kernels import dense, first_layer, optimizers, passes
from tinyvae.machine import arena, blas, team, workers

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"  # told apart by colour-blind readers
rng = np.random.default_rng(0)

# %% [markdown]
# ## Now fast
# A layer of the size that people train: 784 pixels to 500 units, a batch of 100, float32. We time forward plus
# backward: three matrix products, and around them the bias, tanh, its slope, and the sum for db. Each time is the
# median of many repeats. The loops would take minutes; one data point and 25 units cost 1/2000 of it, so we time that.

# %%
B, n, m = 100, 784, 500
x, W, b = rng.random((B, n), "float32"), rng.standard_normal((n, m), "float32") / np.float32(28), np.zeros(m, "float32")
dy = rng.standard_normal((B, m), "float32")  # B, m


def one_in_2000():
    y = forward_loops(x[:1], W[:, :25], b[:25])  # 1, 25
    backward_loops(x[:1], W[:, :25], y, dy[:1, :25])


def numpy_plain():
    backward_numpy(x, W, forward_numpy(x, W, b), dy)


# %% [markdown]
# **Stop asking for memory.** Each operation of NumPy makes a new array for its result: `dy * (1 - y * y)` makes three.
# New memory is cold: it is not in the cache, and may first have to be fetched from the system, page by page. With
# `out=` the results go where they went last time.

# %%
y, da, slope = np.empty((3, B, m), "float32")  # B, m each
dx, dW, db = np.empty_like(x), np.empty_like(W), np.empty_like(b)  # B, n; n, m; m


def numpy_out():
    np.dot(x, W, out=y)
    np.add(y, b, out=y)
    np.tanh(y, out=y)
    np.multiply(y, y, out=slope)
    np.subtract(1, slope, out=slope)
    np.multiply(dy, slope, out=da)
    np.dot(x.T, da, out=dW)
    np.sum(da, axis=0, out=db)
    np.dot(da, W.T, out=dx)


# %% [markdown]
# **Stop walking over the data again and again.** `y + b`, then `tanh`: two passes over the same array, each of which
# loads and stores all of it. A compiled loop does both while the number is in a register. These loops are in
# `tinyvae/kernels/dense.py`, each directly below the NumPy lines that it replaces (its *twin*):
#
#     for i in range(a.shape[0]):
#         for j in range(a.shape[1]):
#             a[i, j] = tanh(a[i, j] + b[j])
#
# They are the loops we began with, without the innermost one. That one is the matrix product, and stays with BLAS.


# %%
def fused():
    np.dot(x, W, out=y)
    dense.bias_tanh(y, b)  # y <- tanh(y + b)
    np.copyto(da, dy)
    dense.tanh_backward(da, y)  # da <- da (1 - y²)
    np.dot(x.T, da, out=dW)
    dense.column_sums(da, db)
    np.dot(da, W.T, out=dx)


fused()
for ours, theirs in zip((dx, dW, db), backward_numpy(x, W, forward_numpy(x, W, b), dy)):
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()  # float32: each rounds in its own order

# %% [markdown]
# The floor is what remains if everything but the products is left out. All take turns, so that a machine that is busy
# for a moment is busy for each of them, and all have one thread.


# %%
def products():
    np.dot(x, W, out=y)
    np.dot(x.T, dy, out=dW)
    np.dot(dy, W.T, out=dx)


stages = {
    "Python loops": one_in_2000,
    "NumPy": numpy_plain,
    "NumPy, out=": numpy_out,
    "fused loops": fused,
    "products alone": products,
}
with blas.one_thread():
    turns = bench.alternate(stages, rounds=10, seconds=0.05)
seconds = {name: float(np.median(np.concatenate(times))) for name, times in turns.items()}
seconds["Python loops"] *= 2000
for name, value in seconds.items():
    around = value - seconds["products alone"]
    print(
        f"{name:<16}{1e3 * value:12.3f} ms, {1e3 * around:12.3f} ms more than the products; "
        f"{seconds['Python loops'] / value:8,.0f} times as fast as the loops"
    )

# %% [markdown]
# ## What the hardware allows: the roofline
# A loop must do two things: move bytes, and calculate. It cannot be faster than either allows. With I = operations /
# bytes, the loop's **arithmetic intensity**,
#
#     operations a second  ≤  min(peak, I · bandwidth)
#
# (Williams, Waterman & Patterson 2009). On a log-log plot this is a slanted roof that ends in a flat one. First the
# roofs of this machine: the bandwidth from a += 2 b on arrays far larger than the cache, and on arrays that fit into
# it; the peak from a large matrix product. One thread, here too.

# %%
roof = {"memory": bench.bandwidth(200_000_000, threads=1), "cache": bench.bandwidth(400_000, threads=1)}  # GB/s
with blas.one_thread():
    peak = bench.peak()  # GFLOP/s
print(f"memory {roof['memory']:.0f} GB/s, cache {roof['cache']:.0f} GB/s, products {peak:.0f} GFLOP/s")
print(f"a loop on data in memory needs {peak / roof['memory']:.0f} operations a byte to be limited by arithmetic")

# %% [markdown]
# Then our loops, each compiled and as its NumPy twin. In the product x W every number that is loaded takes part in many
# multiplications (each x_bi in 500 of them): 38 operations a byte. tanh, a ratio of two polynomials, takes some 20
# operations for 8 bytes, load and store. And a training step does not end with the gradient: Adam updates the 392,000
# weights, reads four numbers for each and writes three, with a dozen operations between them. That is 0.43, hopelessly
# on the slope: no cleverness inside such a loop will help. What helps is to visit the data once instead of once for
# each operator in the formula, and that is what fusion does.

# %%
theta, grad, m1, m2 = np.full(
    (4, n * m), 1e-3, "float32"
)  # P each: the layer's weights, their gradient, Adam's two averages


def adam():
    optimizers.adam(theta, grad, m1, m2, 1e-3, 0.9, 0.999, 1.0, 1e-8)


def adam_numpy():
    optimizers.adam_numpy(theta, grad, m1, m2, 1e-3, 0.9, 0.999, 1.0, 1e-8)


elements, P = B * m, theta.size
work = {  # operations, bytes, and how the two ways to do it take their time
    "x W": (2 * B * n * m, 4 * (B * n + n * m + B * m), {"BLAS": lambda: np.dot(x, W, out=y)}),
    "tanh(a + b)": (
        20 * elements,
        8 * elements,
        {"fused": lambda: dense.bias_tanh(y, b), "NumPy": lambda: dense.bias_tanh_numpy(y, b)},
    ),
    "tanh's slope": (
        3 * elements,
        12 * elements,
        {"fused": lambda: dense.tanh_backward(da, y), "NumPy": lambda: dense.tanh_backward_numpy(da, y)},
    ),
    "Adam": (12 * P, 28 * P, {"fused": adam, "NumPy": adam_numpy}),
}
points, loop_times = [], {}
print(f"{'':<14}{'':<7}{'flop/byte':>10}{'GFLOP/s':>10}{'GB/s':>8}{'ms':>9}")
for name, (flops, moved, ways) in work.items():
    for way, function in ways.items():
        da[:] = dy  # the loops work in place: keep the numbers of an ordinary size
        function()
        with blas.one_thread():
            took = np.median(bench.block(function, 0.3))
        points.append((name, way, flops / moved, 1e-9 * flops / took))
        loop_times[name, way] = 1e3 * took
        print(
            f"{name:<14}{way:<7}{flops / moved:10.2f}{1e-9 * flops / took:10.1f}"
            f"{1e-9 * moved / took:8.1f}{1e3 * took:9.3f}"
        )

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained", width_ratios=(1, 1.3))
colors = {"BLAS": GREEN, "fused": BLUE, "NumPy": ORANGE}
bars = {
    ("x W, x' da, da W'", "BLAS"): 1e3 * seconds["products alone"],
    **{key: ms for key, ms in loop_times.items() if key[1] != "BLAS"},
}
row, before = 0.0, None
for (name, way), ms in bars.items():
    row, before = row + (1.0 if name == before else 1.5), name
    left.barh(row, ms, color=colors[way], height=0.9)
    left.text(ms, row, f"  {name}, {way}: {ms:.2g}", va="center", fontsize=9)
left.invert_yaxis()
left.set(xlabel="ms", title="One layer, 784 to 500, batch 100: forward,\nbackward and update on one thread", yticks=[])
left.set_xlim(right=1.9 * max(bars.values()))

intensity = np.geomspace(0.1, 200, 200)
for name, style in (("cache", "--"), ("memory", "-")):
    right.loglog(
        intensity,
        np.minimum(peak, intensity * roof[name]),
        style,
        color="black",
        lw=1.2,
        label=f"{name}, {roof[name]:.0f} GB/s",
    )
right.text(190, 1.12 * peak, f"products, {peak:.0f} GFLOP/s", ha="right", fontsize=9)
for name, (flops, moved, _) in work.items():
    reached = [g for label, _, _, g in points if label == name]
    right.plot([flops / moved] * len(reached), reached, color=GREY, lw=1, zorder=1)
    right.annotate(name, (flops / moved, min(reached)), (0, -17), textcoords="offset points", ha="center", fontsize=9)
for way, marker in (("BLAS", "s"), ("fused", "o"), ("NumPy", "^")):
    chosen = [(i, g) for _, w, i, g in points if w == way]
    right.plot(*zip(*chosen), marker, color=colors[way], ms=9, label=way)
right.set(
    xlabel="arithmetic intensity, operations a byte",
    ylabel="GFLOP/s",
    title="Roofline of one core of this machine",
    xlim=(0.1, 200),
)
right.set_ylim(0.5 * min(g for *_, g in points), 3 * peak)
right.legend(frameon=False, loc="lower right")
fig.savefig(FIGURES / "07_roofline.png", dpi=130)

# %% [markdown]
# The product sits at the flat roof: nothing of ours will make it faster. tanh's slope and Adam lie between the two
# slanted roofs: bytes decide, and their arrays stay in one cache or another from one call to the next. tanh itself
# stays below both, because its division counts as one operation and takes the time of many. A grey line from a
# triangle up to its circle is what fusion bought.
#
# Where the formula is a single function, as in tanh, all depends on NumPy's own loop: on a processor with AVX-512 it
# is nearly as good as ours, on others several times slower. Where it has many operators, as in Adam, each of NumPy's
# is a pass over all the data: there the gain is severalfold, and without it the update would take about as long as the
# products. Measure before you write a loop; and where the products take nearly all of the time, stop.

# %% [markdown]
# ## A network in one call
# The fused layer may still be above its products, and a network has many layers. What is left between the two?
# Each product writes its result out, and the loop behind it reads it in again; each is a call from Python; and all of
# it is one thread's. So the package compiles the *pass* over a whole network, `forward`, `deltas` and
# `weight_gradients` in `tinyvae/kernels/passes.py`, each directly below the NumPy lines that say the same, and calls
# BLAS from inside, for one **block** of a result after the other:
#
#     for each layer:
#         for each block of h W:                # taken by whichever thread is free
#             the block <- its rows of h times its columns of W     (BLAS)
#             the block <- act(block + b)       # while it is in the cache
#         wait until all blocks are done
#
# Python stays in the middle, where the estimator is, and calls each pass once. We time forward and backward of an
# encoder 784-500-40, its five products one by one, and the same in blocks of two sizes, all on one thread. From here on
# a time is not the median of many but the one that a tenth of them fall below: what the machine does when others leave
# it alone.

# %%
mlp, again = tv.MLP((n, m, 40), rng=rng), arena.Arena()
fast = mlp.using(again)  # its arrays are used again: no new memory, as above
dout = rng.standard_normal((B, 40), "float32")  # B, 40
W0, W1 = mlp.params["W0"], mlp.params["W1"]  # n, m; m, 40
h, dh, out = np.empty((B, m), "float32"), np.empty((B, m), "float32"), np.empty((B, 40), "float32")
dW1, grads = np.empty_like(W1), np.empty_like(mlp.theta)


def whole_mlp():
    again.rewind()
    _, cache = fast.propagate(x)
    fast.backpropagate(cache, dout, grads)
    return grads


def whole_products():
    np.dot(x, W0, out=h)
    np.dot(h, W1, out=out)
    np.dot(dout, W1.T, out=dh)
    np.dot(x.T, dh, out=dW)
    np.dot(h.T, dout, out=dW1)


def in_blocks(sizes):
    """How to run the whole network in such blocks; on a machine where the passes cannot call BLAS, as ever."""

    def run():
        with team.cut_into(sizes):
            return whole_mlp()

    return run


@contextlib.contextmanager
def threads(number):
    """A context in which passes have so many threads."""
    os.environ["TINYVAE_WORKERS"] = str(number)
    with team.ready():
        yield


way, present = bench.machine()["way"], os.environ.get("TINYVAE_WORKERS")
n_threads = workers.count()
print(f"{way}; threads: {n_threads}")
ways = {"products": whole_products, "large blocks": in_blocks(blas.LARGE), "small blocks": in_blocks(blas.SMALL)}
with threads(1):
    turns = bench.alternate(ways, rounds=10, seconds=0.05)
least = {name: bench.milliseconds(times)["low"] for name, times in turns.items()}
network_ms = {f"{name}, 1 thread": ms for name, ms in least.items()}
for name, ms in least.items():
    print(f"{name:<14}{ms:8.3f} ms, {ms / least['products']:.2f} times the products")

# %% [markdown]
# **Why small blocks?** A BLAS that multiplies large matrices first copies them, piece by piece, into an order that its
# innermost loop likes: it *packs* them. For a batch of a hundred rows this is not little beside the product itself. The
# kernels of OpenBLAS for AVX-512 have a second way, without packing, for products of at most a million
# multiply-adds. A block of some 50 rows and columns is one, its long sums cut into chunks. Kernels without that way
# (AVX2) pack every block anew: there small blocks lose, and large ones are the better choice. OpenBLAS tells the name
# of its kernels, and by that name, never by chance, the package chooses. On a quiet machine, the line for the blocks
# that it takes is near 1, although it did more than products: bias, tanh, its slope and the sums for db, in passing.
#
# How a matrix is cut depends on its shape and nothing else. So whoever computes a block, the sums inside it are the
# same, in the same order: **one thread or several, the gradient has the same bits.** And with NumPy's one large product
# it agrees up to rounding.

# %%
several = max(2, n_threads)
found = {}
for sizes in (blas.LARGE, blas.SMALL):
    for number in (1, several):
        with threads(number):
            found[sizes, number] = in_blocks(sizes)().copy()
    assert np.array_equal(found[sizes, 1], found[sizes, several])  # the same bits
a1 = np.tanh(x @ W0 + mlp.params["b0"])  # B, m
da1 = (dout @ W1.T) * (1 - a1 * a1)  # B, m
expected = np.concatenate([(x.T @ da1).ravel(), da1.sum(axis=0), (a1.T @ dout).ravel(), dout.sum(axis=0)])
off = max(np.abs(gradient - expected).max() / np.abs(expected).max() for gradient in found.values())
assert off < 1e-5
print(f"1 and {several} threads: the same bits; NumPy's products: equal to {off:.0e} of the largest number")

with threads(n_threads):
    turns = bench.alternate({"products": whole_products, "blocks": whole_mlp}, rounds=10, seconds=0.05)
least = {name: bench.milliseconds(times)["low"] for name, times in turns.items()}
network_ms[f"blocks of this machine, threads: {n_threads}"] = least["blocks"]
print(
    f"threads: {n_threads}, {least['blocks']:.3f} ms, "
    f"{least['blocks'] / least['products']:.2f} times the products of one thread"
)

# %% [markdown]
# ## What it costs to meet
# Threads that share a pass take **tickets**: a counter in memory says which block is the next, and whoever is free adds
# one to it. Another counts the blocks that are done; when it has reached their number, the next layer may begin. To
# wait for that is a *barrier*. The waiting threads read the counter again and again (they *spin*), for to go to sleep
# and be woken takes the system tens of microseconds, and a layer may take five. Between calls the helpers spin too, a
# millisecond long, and then they sleep.
#
# What is one such meeting? We give the team a network with a single unit in each layer: there is next to nothing to
# multiply, and what a further layer takes is the ticket, the call of BLAS, and the meeting. An empty pass shows
# what the call from Python takes. `team.run(dtype, (pass, ...))` takes what the NumPy twin takes, of one pass or of
# several in one call; an activation goes by its address, and `Typed` says for arrays of which type.

# %%
single = np.dtype("float32")
identity = team.Typed(dense.bias_identity, (single, 2), (single, 1))
one_number, updated = np.ones((1, 1), "float32"), [np.zeros(1, "float32") for _ in range(4)]


def chain(n_layers):
    sizes, weights = (1,) * (n_layers + 1), np.ones(2 * n_layers, "float32")
    hidden, last = np.empty(n_layers - 1, "float32"), np.empty((1, 1), "float32")
    return lambda: team.run(single, (passes.forward, identity, sizes, 1, weights, one_number, hidden, hidden, last))


def nothing():
    team.run(single, (passes.update, 0, *updated, np.ones(5)))


long, short = chain(201), chain(1)
for number in sorted({1, n_threads}):
    with threads(number):
        for function in (long, short, nothing):
            function()
        of_long, of_short, of_nothing = (1e6 * bench.spread(bench.block(f, 0.2))["low"] for f in (long, short, nothing))
    print(
        f"{number} thread{'s' * (number > 1)}: a layer of one unit {1e3 * (of_long - of_short) / 200:.0f} ns, "
        f"an empty pass {of_nothing:.1f} us"
    )

# %% [markdown]
# With one thread nobody waits: what a layer takes there is not the meeting's. The rest is, and it is a tenth of a
# microsecond or a few, as long as all threads run. Where the system has put one aside for another program, the others
# would wait for milliseconds. So a thread that has waited for two of them takes the machine for busy: the calling
# thread does the next calls alone, 32 of them or more, in the same blocks, with the same bits.
#
# ## A product that need not be made
# The roof holds for those who multiply. In black and white digits some 13% of the pixels are ones, and a pixel that is
# 0 or 1 multiplies nothing: row i of x W is the sum of the rows of W that the ones of x_i select, and row j of x' da
# the sum of the rows of da whose pixel j is on. That is an addition for an eighth of the pixels in place of a
# multiplication and an addition for each. The passes are `first_forward` and `first_gradient`; a first layer uses them
# by itself where the pixels are bits, few are ones, and it has 100 units or more.

# %%
bits = (rng.random((B, n)) < 0.13).astype("uint8")  # B, n
floats = bits.astype("float32")
first = np.concatenate([W.ravel(), b])  # as they stand in a network's theta
nothing_hidden = np.empty(0, "float32")
room = np.empty((n + 1, n + 1), "int64")  # for the places of the ones
multiplied_y, summed_y = (arena.empty((B, m), single) for _ in range(2))
multiplied_grad, summed_grad = (arena.empty((n * m + m,), single) for _ in range(2))


def multiplied():
    none = nothing_hidden
    team.run(single, (passes.forward, identity, (n, m), B, first, floats, none, none, multiplied_y))
    team.run(single, (passes.weight_gradients, (n, m), B, floats, none, dy, none, None, None, multiplied_grad))


def added_up():
    team.run(single, (first_layer.first_forward, identity, B, n, m, first, bits, summed_y, summed_y, room))
    team.run(single, (first_layer.first_gradient, B, n, m, bits, dy, summed_grad, room))


with threads(1):
    turns = bench.alternate({"multiplied": multiplied, "added up": added_up}, rounds=10, seconds=0.05)
assert np.abs(summed_y - multiplied_y).max() < 1e-5 * np.abs(multiplied_y).max()
assert np.abs(summed_grad - multiplied_grad).max() < 1e-5 * np.abs(multiplied_grad).max()
least = {name: bench.milliseconds(times)["low"] for name, times in turns.items()}
print(
    f"two products with {bits.mean():.0%} ones: {least['multiplied']:.2f} ms; "
    f"added up, {least['added up'] / least['multiplied']:.2f} of that"
)

# %% [markdown]
# ## Where the last microseconds are
# A whole training step of a VAE 784-500-20: minibatch, noise, both networks forward and backward, the estimator, Adam.
# `bench.profile` times each pass, and each kernel that Python calls. What they leave of the step is Python's own: some
# ten calls of passes, and the estimator, which is written so that it can be read. (Medians again. On a busy machine the
# rest holds its interruptions too.)

# %%
if present is None:
    del os.environ["TINYVAE_WORKERS"]
else:
    os.environ["TINYVAE_WORKERS"] = present
vae = tv.VAE(n, 20, (m,), seed=0)
step = bench.training_step(vae, bench.pixels(1000, n, binary=False), B)
turns = bench.alternate({"step": step, "products": bench.bare_products(vae, B)}, rounds=5, seconds=0.1)
step_ratio = bench.ratio(turns["step"], turns["products"])["median"]
watched = []  # how long the whole step took, each time


def watched_step():
    began = time.perf_counter()
    step()
    watched.append(1e3 * (time.perf_counter() - began))


rows = bench.profile(watched_step, 50)
inside, step_ms = sum(row["ms"] for row in rows), float(np.median(watched))
for row in rows:
    print(f"{row['name']:<26}{row['calls']:3d} calls {row['ms']:8.3f} ms")
print(f"all of these {inside:.3f} ms of a step's {step_ms:.3f} ms: the rest is Python's, and the watch's")
print(f"the step, {step_ratio:.2f} times its bare products, which BLAS may do on as many threads as it likes")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.0), layout="constrained")
shades = [GREEN, ORANGE, BLUE, BLUE]
for place, (name, ms) in enumerate(network_ms.items()):
    left.barh(place, ms, color=shades[place], height=0.8)
    left.text(ms, place, f"  {name}: {ms:.2g}", va="center", fontsize=9)
left.set(xlabel="ms", yticks=[], title="Encoder 784-500-40, batch 100: forward and backward")
largest = rows[:7]
parts = {row["name"]: row["ms"] for row in largest} | {
    "other kernels": inside - sum(row["ms"] for row in largest),
    "Python, NumPy": max(0.0, step_ms - inside),
}
for place, (name, ms) in enumerate(parts.items()):
    right.barh(place, ms, color=ORANGE if name == "Python, NumPy" else BLUE, height=0.8)
    right.text(ms, place, f"  {name}: {ms:.2g}", va="center", fontsize=9)
right.set(xlabel="ms", yticks=[], title=f"One training step, 784-500-20: {step_ms:.1f} ms, pass by pass")
for ax, values in ((left, network_ms), (right, parts)):
    ax.invert_yaxis()
    ax.set_xlim(right=1.7 * max(values.values()))
fig.savefig(FIGURES / "07_step.png", dpi=130)

# %% [markdown]
# ## The headline
# The gradients agree with finite differences to 1e-7 of their norm, whichever way they are computed. The fused layer
# does what the loops do, and far more than 20 times as fast; the passes do it for a whole network, with the same bits
# on one thread and on several.

# %%
assert max(errors.values()) < 1e-7
assert seconds["Python loops"] > 20 * seconds["fused loops"]
print(
    f"Headline: largest error {max(errors.values()):.0e} of the gradient's norm; "
    f"from {seconds['Python loops']:.0f} s to {1e3 * seconds['fused loops']:.1f} ms, "
    f"{seconds['fused loops'] / seconds['products alone']:.2f} times the bare products; "
    f"a whole training step {step_ratio:.2f} times its own."
)
