"""Backprop by hand

Question: how do you differentiate a network, and a whole variational autoencoder, with pencil and paper?

There is no autograd in this package. This lesson derives one layer's backward pass index by index, adds the three
pieces that make a network a VAE, and checks every formula against finite differences.
"""

# %% [markdown]
# **Needs:** lesson 02 (the model: p(x | z), q(z | x) and the bound), lesson 03 (the KL, and why a network puts out
# logvar = log σ²), and the chain rule; about 15 minutes. Shapes: B data points in a batch, n inputs and m outputs of a
# layer; later D pixels, K latents and H hidden units. L is always the loss, one number, and dy is short for ∂L/∂y.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import check

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
rng = np.random.default_rng(0)

# %% [markdown]
# ## One layer, forward
# Each output is a weighted sum of the inputs, plus a bias, through tanh. For data point r:
#
#     a_rj = Σ_i x_ri W_ij + b_j          y_rj = tanh(a_rj)
#
# ## One layer, backward
# Suppose somebody hands us dy_rj = ∂L/∂y_rj for every output. We want dW, db, and dx for the layer before us. The rule
# is always the same: *follow every path from the variable to the loss, multiply along it, add over the paths.*
#
# **Through tanh.** a_rj reaches the loss by one path, y_rj. Since tanh' = 1 - tanh², the output tells the slope:
#
#     da_rj = dy_rj (1 - y_rj²)
#
# **The weights.** W_ij stands in a_rj for *every* data point r, and in no other column: one path a data point, each
# with slope ∂a_rj/∂W_ij = x_ri. **The bias:** the same paths, with slope 1. **The inputs:** x_ri stands in a_rj for
# every *output* j, with slope W_ij.
#
#     dW_ij = Σ_r x_ri da_rj          db_j = Σ_r da_rj          dx_ri = Σ_j da_rj W_ij
#
# As loops, exactly as it stands there:


# %%
def backward_loops(x, W, y, dy):
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(dy[0])  # B, n; n, m; m
    for r in range(len(x)):
        for j in range(W.shape[1]):
            da = dy[r, j] * (1 - y[r, j] ** 2)
            db[j] += da
            for i in range(W.shape[0]):
                dW[i, j] += x[r, i] * da
                dx[r, i] += da * W[i, j]
    return dx, dW, db


# %% [markdown]
# ## The same in matrices
# Each sum over a shared index is a matrix product. Read the indices: Σ_r x_ri da_rj pairs the *rows* of x with the rows
# of da, so x is transposed. These five equations are the whole layer:
#
#     y  = tanh(x W + b)      # B, m
#     da = dy (1 - y²)        # B, m
#     dW = x.T da             # n, m
#     db = Σ_r da             # m
#     dx = da W.T             # B, n


# %%
def forward(x, W, b):
    return np.tanh(x @ W + b)  # B, m


def linear_backward(x, W, da):
    return da @ W.T, x.T @ da, da.sum(axis=0)  # B, n; n, m; m


def backward(x, W, y, dy):
    return linear_backward(x, W, dy * (1 - y * y))


def backward_wrong(x, W, y, dy):
    return linear_backward(x, W, dy)  # the slope of tanh forgotten


# %% [markdown]
# ## Is it right? Nudge and see
# Take a loss with a known derivative, L = Σ c_rj y_rj with fixed random numbers c, so that dy = c. Move one argument a
# little, and see whether L changes as the gradient says. `check.gradients` does this with central differences in
# float64, along single coordinates and along random directions, and raises if they disagree by more than 1e-7 of the
# gradient's norm. `backward_wrong` runs without a complaint and returns the right shapes. Does the check see it?

# %%
B, n, m = 5, 7, 4
layer = {"x": rng.standard_normal((B, n)), "W": rng.standard_normal((n, m)) / n**0.5, "b": rng.standard_normal(m)}
c = rng.standard_normal((B, m))  # B, m


def error_of(name, by_hand):
    """The largest relative error of the gradient with respect to one argument, the others held fixed."""

    def loss_and_gradient(flat):
        given = {**layer, name: flat.reshape(layer[name].shape)}
        y = forward(**given)  # B, m
        gradients = dict(zip(("x", "W", "b"), by_hand(given["x"], given["W"], y, c)))
        return (c * y).sum(), gradients[name].ravel()

    return check.gradients(loss_and_gradient, layer[name].ravel(), tolerance=10).error  # tell, do not raise


for by_hand in (backward_loops, backward, backward_wrong):
    errors = [error_of(name, by_hand) for name in layer]
    print(f"{by_hand.__name__:<15}", "  ".join(f"d{name}: {error:.1e}" for name, error in zip(layer, errors)))
    assert min(errors) > 0.1 if by_hand is backward_wrong else max(errors) < 1e-9

# %% [markdown]
# A network is nothing more: the dx of one layer is the dy of the one before it, and so on back to the data. `tv.MLP`
# does it for any number of layers.
#
# ## What a VAE adds
# Three pieces stand between and behind the two networks, encoder and decoder.
#
# **1. The Bernoulli loss.** The decoder puts out a *logit* l for each pixel, any real number, and the pixel is white
# with probability p = 1/(1 + e^-l). Its loss, -log p(x | z), is -x log p - (1 - x) log(1 - p). Put p in:
#
#     loss = log(1 + e^l) - x l           dl = e^l/(1 + e^l) - x = p - x
#
# Going through p instead gives the same in two steps, dp = (p - x)/(p(1 - p)) and dp/dl = p(1 - p), whose factors
# cancel. On paper. In a computer p rounds to 1 at l = 40, and the loss of a black pixel becomes infinite:

# %%
logit, pixel = 40.0, 0.0
p = 1 / (1 + np.exp(-logit))
with np.errstate(divide="ignore", invalid="ignore"):
    loss_by_p = -pixel * np.log(p) - (1 - pixel) * np.log(1 - p)
    slope_by_p = np.divide(p - pixel, p * (1 - p)) * (p * (1 - p))
print(
    f"through p: loss {loss_by_p}, slope {slope_by_p};  from the logit: {np.logaddexp(0, logit):.0f}, {p - pixel:.0f}"
)
assert np.isinf(loss_by_p) and np.isnan(slope_by_p) and np.logaddexp(0, logit) == 40

# %% [markdown]
# **2. The KL**, from lesson 03, for each latent: ½ (μ² + σ² - 1 - logvar), with σ² = exp(logvar). So dμ = μ and
# dlogvar = ½ (exp(logvar) - 1).
#
# **3. The sampling step.** z is drawn from N(μ, σ²). What is the derivative of a random draw with respect to μ? As it
# stands the question has no answer: ask twice and z differs. But z = μ + exp(logvar/2) ε has the same distribution if
# ε ~ N(0, 1), and for a *given* ε it is an ordinary function of μ and logvar:
#
#     ∂z/∂μ = 1           ∂z/∂logvar = ½ exp(logvar/2) ε
#
# The randomness is now an input, like x. The picture shows both, black arrows forward, red ones back. (Whether the
# derivative of one draw is right on average is another matter: lesson 05.)

# %%
RED = "#B22222"
PLACES = {"x": (0, 0), "encoder": (1.8, 0), "μ, logvar": (3.9, 0), "z": (6.2, 0), "decoder": (8.3, 0), "L": (10, 0),
          "KL": (7.2, 1.2), "ε ~ N(0, 1)": (6.2, -1.3)}  # fmt: skip
EDGES = [("x", "encoder"), ("encoder", "μ, logvar"), ("μ, logvar", "z"), ("z", "decoder"), ("decoder", "L")]
EDGES += [("μ, logvar", "KL"), ("KL", "L"), ("ε ~ N(0, 1)", "z")]
NO_GRADIENT = {"x", "ε ~ N(0, 1)"}  # nothing to learn there

fig, axes = plt.subplots(2, 1, figsize=(10, 5.4), layout="constrained")
for ax, leaf in zip(axes, (False, True)):
    boxes = {}
    for name, at in PLACES.items():
        if leaf or "ε" not in name:
            text = name if name != "z" else "z = μ + σ ε" if leaf else "z ~ N(μ, σ²)"
            box = {"boxstyle": "round,pad=0.4", "fc": "#FFD966" if "~" in text else "white", "ec": "black"}
            boxes[name] = ax.text(*at, text, ha="center", va="center", zorder=3, bbox=box)
    for first, second in EDGES:
        if first in boxes:
            ends = {"patchA": boxes[first].get_bbox_patch(), "patchB": boxes[second].get_bbox_patch()}
            ax.annotate("", PLACES[second], PLACES[first], arrowprops={"arrowstyle": "->", **ends})
            if first not in NO_GRADIENT and (leaf or second != "z"):
                bend = f"arc3,rad={0.25 if 'KL' in (first, second) else -0.35}"
                look = {"arrowstyle": "->", "color": RED, "lw": 2, "ls": "--", "connectionstyle": bend}
                ends = {"patchA": ends["patchB"], "patchB": ends["patchA"]}
                ax.annotate("", PLACES[first], PLACES[second], arrowprops={**look, **ends})
    ax.set(xlim=(-0.4, 10.4), ylim=(-1.7, 1.7))
    ax.axis("off")
axes[0].text(5, -0.75, "✗ a draw has no slope: the decoder\ncannot tell the encoder anything", color=RED, ha="center")
axes[0].set_title("The random node (yellow) inside: only the KL's gradient (red) reaches the encoder")
axes[1].set_title("The random node moved to a leaf: the gradient goes through z, and need not enter ε")
fig.savefig(FIGURES / "04_graphs.png", dpi=130)

# %% [markdown]
# ## A whole VAE by hand
# One hidden layer in each network, and one sample z an image. Forward, then the same steps from the last to the first,
# each with the equations above. The loss is the mean over B images: its 1/B enters at the top, and with the KL.


# %%
def sample(mu, logvar, eps):
    return mu + np.exp(logvar / 2) * eps  # B, K


def sample_backward(dz, logvar, eps):
    return dz, dz * np.exp(logvar / 2) * eps / 2  # dmu and dlogvar: B, K each


def kl_backward(mu, logvar):
    return mu, (np.exp(logvar) - 1) / 2  # dmu and dlogvar: B, K each


def vae_by_hand(P, x, eps, sample=sample, sample_backward=sample_backward, kl_backward=kl_backward):
    """The loss, nats an image, and {name: gradient} of the parameters P. x (B, D), eps (B, K)."""
    We, be, Wd, bd = (P[name] for name in ("encoder.W1", "encoder.b1", "decoder.W1", "decoder.b1"))
    h = forward(x, P["encoder.W0"], P["encoder.b0"])  # B, H
    mu, logvar = np.split(h @ We + be, 2, axis=1)  # B, K each
    z = sample(mu, logvar, eps)  # B, K
    g = forward(z, P["decoder.W0"], P["decoder.b0"])  # B, H
    logits = g @ Wd + bd  # B, D
    kl = (mu**2 + np.exp(logvar) - 1 - logvar).sum() / 2
    loss = ((np.logaddexp(0, logits) - x * logits).sum() + kl) / len(x)

    dlogits = (0.5 * (1 + np.tanh(logits / 2)) - x) / len(x)  # B, D: the sigmoid, written so that nothing overflows
    dg, dWd, dbd = linear_backward(g, Wd, dlogits)
    dz, dWd0, dbd0 = backward(z, P["decoder.W0"], g, dg)
    by_path, by_kl = sample_backward(dz, logvar, eps), kl_backward(mu, logvar)
    dparams = np.concatenate([path + own / len(x) for path, own in zip(by_path, by_kl)], axis=1)  # B, 2K: two paths
    dh, dWe, dbe = linear_backward(h, We, dparams)
    _, dWe0, dbe0 = backward(x, P["encoder.W0"], h, dh)
    return loss, dict(zip(P, (dWe0, dbe0, dWe, dbe, dWd0, dbd0, dWd, dbd)))


# %% [markdown]
# Check it twice: against central differences, and against the package's own, on twenty of its digits.

# %%
K, H = 3, 30
x = tv.datasets.load("digits").train[:20].astype("float64")  # B, D: grey levels; the formulas hold for those, too
vae = tv.VAE(n_features=64, n_latents=K, hidden=(H,), dtype="float64", seed=0)
vae.theta += 0.1 * rng.standard_normal(len(vae.theta))  # biases start at 0: move them, too
eps = rng.standard_normal((len(x), K))  # B, K


def of_flat(flat, **slips):
    """The loss and its gradient, as one vector as the weights are, for `check.gradients`."""
    dtype = flat.dtype
    loss, grads = vae_by_hand(vae.views(flat), x.astype(dtype), eps.astype(dtype), **slips)
    return loss, np.concatenate([grad.ravel() for grad in grads.values()])


loss, gradient = of_flat(vae.theta)
package_loss, package_gradient = vae.loss_and_grads(x, eps[None])  # eps: S = 1, B, K
norm = np.linalg.norm(gradient)
to_package = np.linalg.norm(gradient - package_gradient) / norm
error = check.gradients(of_flat, vae.theta).error
print(f"loss {loss:.6f} nats an image, of the package {package_loss:.6f}; {len(gradient)} parameters")
print(f"gradient: {to_package:.1e} of its norm from the package's, {error:.1e} from central differences")
assert abs(loss - package_loss) < 1e-9 and to_package < 1e-10

# %% [markdown]
# ## How small a nudge?
# Let w be all the weights. A central difference (L(w + δv) - L(w - δv)) / 2δ errs by about δ² for the curve that it
# cuts off, and by u/δ for the rounding of L, where u is the precision: 1e-16 in float64, 6e-8 in float32. Small is not
# good enough, and too small is bad: the sum is least where 2δ = u/δ², near the cube root of u, 5e-6 or 4e-3.
# (`check.gradients` combines two central differences, so that a larger δ will do.) Here along the gradient, where the
# slope is the gradient's norm:


# %%
def nudge_error(delta, dtype, one_sided=False):
    v, w = (gradient / norm).astype(dtype), vae.theta.astype(dtype)  # P; P
    up, down = of_flat(w + dtype(delta) * v)[0], of_flat(w - dtype(delta) * v * (not one_sided))[0]
    return abs((float(up) - float(down)) / (delta if one_sided else 2 * delta) / norm - 1)


deltas = np.logspace(-10, 0, 41)  # 41
curves = {  # name: error at each delta, 41
    "one-sided, float64": ([nudge_error(d, np.float64, one_sided=True) for d in deltas], "#777777", ":"),
    "central, float32": ([nudge_error(d, np.float32) for d in deltas], "#AA7700", "--"),
    "central, float64": ([nudge_error(d, np.float64) for d in deltas], "black", "-"),
}
least = {name: min(errors) for name, (errors, *_) in curves.items()}
for name, (errors, *_) in curves.items():
    print(f"smallest error, {name}: {least[name]:.0e} at δ = {deltas[np.argmin(errors)]:.0e}")
assert least["central, float64"] < 1e-9 < least["one-sided, float64"] and least["central, float32"] > 1e-7

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, (errors, color, line) in curves.items():
    ax.loglog(deltas, np.maximum(errors, 1e-13), line, color=color, label=name)
ax.axhline(1e-7, color=RED, lw=1)
ax.text(1, 7e-8, "`check.gradients` passes", color=RED, ha="right", va="top")
ax.set(xlabel="nudge δ, units of the weights", ylabel="error, share of the gradient", ylim=(1e-13, 10))
ax.set_title("Too large a nudge cuts the curve, too small a one drowns in rounding")
ax.legend(frameon=False, loc="lower left")
fig.savefig(FIGURES / "04_nudges.png", dpi=130)

# %% [markdown]
# ## What the check finds, and what it cannot
# Three slips that are often made:
#
# 1. the half of the KL forgotten in its gradient;
# 2. the path through z forgotten: σ is treated as if it did not move z;
# 3. σ² taken for σ, z = μ + exp(logvar) ε, as some lecture notes print it, and differentiated without a mistake.
#
# **Predict before you run:** which of the three does the check find?

# %%
slips = {
    "KL without its half": {"kl_backward": lambda mu, logvar: (mu, np.exp(logvar) - 1)},
    "no path to logvar": {"sample_backward": lambda dz, logvar, eps: (dz, 0 * dz)},
    "z = μ + σ² ε": {
        "sample": lambda mu, logvar, eps: mu + np.exp(logvar) * eps,
        "sample_backward": lambda dz, logvar, eps: (dz, dz * np.exp(logvar) * eps),
    },
}
found = {name: check.gradients(lambda flat: of_flat(flat, **slip), vae.theta, tolerance=10).error
         for name, slip in slips.items()}  # fmt: skip
nodes, weights = check.gauss_hermite(10, 1)  # 10, 1; 10
for name, slip in slips.items():
    z = slip.get("sample", sample)(0.0, 2 * np.log(0.5), nodes[:, 0])  # 10: μ = 0, σ = 1/2
    print(f"{name:<20} error {found[name]:.1e};  variance of z at σ = 1/2: {weights @ z**2:.4f}")
variance = weights @ slips["z = μ + σ² ε"]["sample"](0.0, 2 * np.log(0.5), nodes[:, 0]) ** 2
assert found["KL without its half"] > 1e-3 and found["no path to logvar"] > 1e-3 and found["z = μ + σ² ε"] < 1e-9

# %% [markdown]
# The third passes. Its gradient *is* the gradient of its loss; but the KL speaks of a variance of .25, while the
# samples have .0625, σ⁴. A gradient check compares a derivative with its function. Whether it is the function you
# meant, only an independent way to the same number can say: here, the variance of z.
#
# **Believed before:** a gradient that passes the check is right, and a random draw can be differentiated like any
# other step. **Believe now:** the check says that loss and gradient belong together; and the chain rule goes through a
# draw only once its randomness is an input. **The number that changed it:** .0625 for .25, and an error below 1e-9.
#
# **Sources:** Kingma & Welling 2014, section 2.4 (the sampling step) and appendix B (the KL); Rumelhart, Hinton &
# Williams 1986 (backpropagation).
#
# **Exercises:** `tinyvae exercise 04`
# - `softplus_backward`: a layer whose activation is log(1 + e^a).
# - `bernoulli_and_kl_backward`: both terms of the loss, with S samples, a batch and a beta.
# - `sampling_backward`: the sampling step of an encoder that puts out σ = log(1 + e^ρ).

# %%
assert error < 1e-9 and to_package < 1e-10
assert abs(variance - 0.0625) < 1e-9 and abs(weights @ sample(0.0, 2 * np.log(0.5), nodes[:, 0]) ** 2 - 0.25) < 1e-9
print(f"Headline: a VAE's gradient by hand is {error:.0e} of its norm from central differences in float64.")
