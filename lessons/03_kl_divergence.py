"""What the KL divergence measures

Question: what does the KL measure, and what do lecture notes get wrong about it?

The loss of a VAE contains one KL for each image: here by hand, by quadrature, and taken apart into its two parts.
"""

# %% [markdown]
# **Needs:** prior p(z), posterior p(z | x), encoder q(z | x) and the bound (lesson 02). About 15 minutes.
#
# Draw z from a density q. By log q(z) - log p(z) the draw speaks for q and against p. Its average is the
# **Kullback-Leibler divergence**, in nats, the unit of natural logarithms:
#
#     KL(q || p) = E_{z ~ q}[ log q(z) - log p(z) ]
#
# It is the evidence that one draw from q gives, on average, against p: after ten draws of .3 nats each, q is e³ = 20
# times as credible as p. It is never negative, since log u ≤ u - 1, here with u = p/q:
#
#     -KL(q || p) = E_q[log u] ≤ E_q[u - 1] = ∫ p dz - 1 ≤ 0         (∫ over where q > 0), and 0 only if p = q.
#
# Shapes: N nodes of a quadrature, G points of a grid, B codes (one for each image), K dimensions of z, D pixels.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
BLACK, WINE, INDIGO, OLIVE = "#000000", "#882255", "#332288", "#999933"  # no built-in estimator's

# %% [markdown]
# ## The tool: moments, and an integral from a few nodes
# Expectations over a Gaussian are expectations over ε ~ N(0, 1), with z = μ + σ ε. The slope of ε's density is -ε
# times the density, so integration by parts gives E[ε g(ε)] = E[g'(ε)]. With g(ε) = εⁿ⁻¹:
#
#     E[εⁿ] = (n - 1) E[εⁿ⁻²]:      E[ε²] = 1,   E[ε⁴] = 3,   E[ε⁶] = 15,   E[ε⁸] = 105,   odd powers 0.
#
# **Gauss-Hermite quadrature** replaces E[f(ε)] by a weighted sum of f at N nodes. With the two nodes ±1, each of weight
# 1/2, ε² has the mean 1 and ε³ the mean 0: exact. But ε⁴ gets 1 and not 3. How far do N nodes get?

# %%
MOMENTS = {2: 1, 4: 3, 6: 15, 8: 105}
print("nodes   E[ε²]   E[ε⁴]   E[ε⁶]   E[ε⁸]")
for n_nodes in (1, 2, 3, 4, 5):
    nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)  # N; N
    weights = weights / weights.sum()  # N, NumPy's add up to the root of 2 pi
    found = {power: weights @ nodes**power for power in MOMENTS}
    print(f"{n_nodes:5d}" + "".join(f"{value:8.3f}" for value in found.values()))
    for power, truth in MOMENTS.items():
        assert (abs(found[power] - truth) < 1e-9) == (power <= 2 * n_nodes - 1)

# %% [markdown]
# N nodes are exact up to degree 2N - 1, because of where they are: at the zeros of the Hermite polynomial H of degree
# N, which is orthogonal to every polynomial s of lower degree, E[H(ε) s(ε)] = 0. Divide f of degree ≤ 2N - 1 by H:
#
#     f = H s + r,      s and r of degree < N.
#
# The mean of H s is 0, and so is its sum over the nodes, where H = 0. That leaves r, of degree < N, and N weights can
# be chosen so that the means of the powers 0 ... N - 1 come out right.
#
# A function that is no polynomial does as well if a polynomial comes close to it. The error is N!/(2N)! times the 2N-th
# derivative of f somewhere: for cos ε at most 8!/16! = 2e-9 with 8 nodes. No polynomial comes close to a kink, and a
# spike narrower than the gaps between nodes is missed or overrated. So nodes for the smooth, a fine grid for spikes.
#
# `tv.check.gauss_hermite(n_nodes, K)` does it in K dimensions: all n_nodes^K combinations of nodes.

# %%
WIDTH = 0.05
peak_mean = WIDTH / np.sqrt(1 + WIDTH**2) * np.exp(-1 / (2 * (1 + WIDTH**2)))
functions = {  # name: function, its mean, colour, line
    "ε⁶: exact from 4 nodes on": (lambda e: e**6, 15.0, INDIGO, "-"),
    "cos ε: smooth": (np.cos, np.exp(-0.5), WINE, "--"),
    "|ε|: a kink": (np.abs, np.sqrt(2 / np.pi), OLIVE, "-."),
    f"a spike of width {WIDTH} at 1": (lambda e: np.exp(-(((e - 1) / WIDTH) ** 2) / 2), peak_mean, BLACK, ":"),
}
counts = np.arange(2, 65, 2)
errors = []
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, (function, truth, color, line) in functions.items():
    rules = [tv.check.gauss_hermite(n, 1) for n in counts]  # N, 1; N each
    errors.append(np.array([abs(weights @ function(eps[:, 0]) / truth - 1) for eps, weights in rules]))  # counts
    ax.plot(counts, errors[-1].clip(1e-16), line, color=color, lw=2, label=name)
ax.set(yscale="log", ylim=(5e-17, 9), xlabel="nodes N", ylabel="relative error of the mean")
ax.set(title="A few nodes do for what is smooth; a kink or a spike stays wrong")
ax.legend(frameon=False, loc="center right")
fig.savefig(FIGURES / "03_quadrature.png", dpi=130)
assert errors[0][1:].max() < 1e-9 and errors[1][3] < 2e-9 / 0.6 and errors[2].min() > 1e-3 and errors[3][-1] > 0.1

# %% [markdown]
# ## The KL of two Gaussians, by hand
# q = N(μ, σ²), p = N(m, t²). Put z = μ + σ ε into log q - log p, where log 2π cancels:
#
#     log q - log p = -log σ - ε²/2 + log t + (μ + σ ε - m)²/(2t²)
#     KL(q || p)    = log(t/σ) + [σ² + (μ - m)²]/(2t²) - 1/2                 because E[ε] = 0 and E[ε²] = 1
#
# **Predict before you run.** q = N(0, 1), p = N(0, 4): is KL(q || p) larger, or KL(p || q)? How many nodes are enough?


# %%
def kl_by_hand(q, p):
    """KL(q || p) of two Gaussians, each (mean, standard deviation)."""
    (mu, sigma), (m, t) = q, p
    return np.log(t / sigma) + (sigma**2 + (mu - m) ** 2) / (2 * t**2) - 0.5


narrow, wide = (0.0, 1.0), (0.0, 2.0)
nodes, weights = tv.check.gauss_hermite(2, 1)  # N = 2, K = 1; N
for q, p in ((narrow, wide), (wide, narrow), ((0.3, 0.7), (-1.0, 1.9))):
    eps = nodes[:, 0]  # N
    log_ratio = -np.log(q[1]) - eps**2 / 2 + np.log(p[1]) + ((q[0] + q[1] * eps - p[0]) / p[1]) ** 2 / 2  # N
    print(f"from N({q[0]}, {q[1]}²) to N({p[0]}, {p[1]}²): {kl_by_hand(q, p):.6f}, two nodes {weights @ log_ratio:.6f}")
    assert abs(kl_by_hand(q, p) - weights @ log_ratio) < 1e-9
assert round(kl_by_hand(narrow, wide), 3) == 0.318 and round(kl_by_hand(wide, narrow), 3) == 0.807

# %% [markdown]
# .318 one way and .807 the other: **no distance**. The two answer different questions. A draw from the wide one often
# lands where the narrow one hardly ever does, and gives itself away; a draw from the narrow one could well have come
# from the wide one. Two nodes are enough because log q - log p is a parabola in ε.
#
# **Diagonal.** Independent coordinates: the log-densities add up, so the KLs do. Against the prior N(0, I), m = 0 and
# t = 1, and with logvar = log σ²,
#
#     KL = 1/2 Σ_k ( μ_k² + σ_k² - 1 - logvar_k )
#
# The *bound*, which is made large, contains its negative, 1/2 Σ (1 + logvar - μ² - σ²), times β if the KL has a weight.
# Lecture notes have been seen with -β Σ (1 + logvar - μ² - σ²): the half is gone and the sign is wrong.
#
# **Full.** q = N(μ, Σ), p = N(m, P). With z = μ + L ε, where L L.T = Σ, the same steps and E[ε ε.T] = I give
#
#     KL = 1/2 [ tr(P⁻¹ Σ) + (μ - m).T P⁻¹ (μ - m) - K + log det P - log det Σ ]


# %%
def kl_full(mu, cov, m, P):
    """KL(N(mu, cov) || N(m, P)); mu, m (K,), cov, P (K, K)."""
    inverse = np.linalg.inv(P)  # K, K
    log_dets = np.linalg.slogdet(P)[1] - np.linalg.slogdet(cov)[1]
    return 0.5 * (np.trace(inverse @ cov) + (mu - m) @ inverse @ (mu - m) - len(mu) + log_dets)


q = tv.DiagonalGaussian(np.array([[1.0, 0.0]]), 2 * np.log([[0.5, 1.0]]))  # B = 1, K = 2
kl = 0.5 * (q.mu**2 + q.std**2 - 1 - q.logvar).sum(axis=1)  # B
printed = -(1 + q.logvar - q.mu**2 - q.std**2).sum(axis=1)  # B, β = 1
print(f"μ = 1, σ = 1/2: KL {kl[0]:.4f}; in the bound {-kl[0]:.4f}; as printed {printed[0]:+.4f}, which is +2 KL")
assert abs(q.kl() - kl) < 1e-9 and abs(printed - 2 * kl) < 1e-9
assert abs(kl_full(q.mu[0], np.diag(q.std[0] ** 2), np.zeros(2), np.eye(2)) - kl) < 1e-9

# %% [markdown]
# ## "The codes are independent, hence q is diagonal"
# That is an assumption. Take two codes, z ~ N(0, I), and one pixel, x = z₁ + z₂ + noise of variance 1/4. The codes are
# independent *before* x is seen. After it they must add up to about x: if one is larger, the other is smaller. With w =
# (1, 1), log p(z | x) = -½ |z|² - 2 (x - w·z)² + constant: its inverse covariance is Λ = I + 4 w w.T, its correlation
# -.8. A diagonal q with variances s² enters the KL through Σ_k (Λ_kk s_k² - log s_k²) alone: best is s_k² = 1/Λ_kk.

# %%
x = np.array([[1.7]])  # B = 1, D = 1
for w, missed, widths in (([1.0, 1.0], np.log(5 / 3), [0.2, 5 / 9]), ([np.sqrt(2), 0.0], 0.0, [1 / 9, 1 / 9])):
    model = tv.problems.LinearGaussian(W=np.array([w]), m=np.zeros(1), s=0.5)
    q, (mean, cov) = model.best(x), model.posterior(x)  # q: B, K; B, K and K, K
    away, gap = kl_full(q.mu[0], np.diag(q.std[0] ** 2), mean[0], cov), model.log_likelihood(x) - model.elbo(q, x)
    print(f"w = {np.round(w, 2)}: posterior's variance {cov[0, 0]:.3f}, correlation {cov[0, 1] / cov[0, 0]:.1f};")
    print(f"    the best diagonal q has {q.std[0, 0] ** 2:.3f}, its KL is {away:.6f}; log p(x) - bound = {gap[0]:.6f}")
    assert max(abs(away - missed), abs(gap[0] - missed)) < 1e-9
    assert max(abs(q.std[0, 0] ** 2 - widths[0]), abs(cov[0, 0] - widths[1])) < 1e-9

# %% [markdown]
# The bound is log p(x) minus this KL: with w = (1, 1), a diagonal q gives away ½ (Σ log Λ_kk - log det Λ) = ½
# log(25/9) = log(5/3) = .511 nats. With w = (√2, 0), p(x) is the same and the posterior diagonal: such a q prefers that
# decoder. And in the first case q is too sure of itself, variance .200 against .556. Why too narrow, not too wide?
#
# ## Mode-seeking and covering
# Take z ~ N(0, 1) and one pixel, x ~ N(z², (1/2)²). At x = 2 the posterior p has two peaks, at ±√1.875: set the slope
# of its logarithm, -z²/2 - 2(2 - z²)², to 0. Which Gaussian q is nearest to it? That depends on the direction:
#
# - KL(q || p), the one in the bound, averages over q: it punishes q where q has mass and p has none.
# - KL(p || q) averages over p: it punishes q where p has mass and q has none. Only -E_p[log q] depends on q; set its
#   derivatives to 0, and q gets the mean and the variance of p.
#
# **Predict before you run:** where does the best q of each kind stand, and how many nats is the first one from p?

# %%
z = np.linspace(-8, 8, 2001)  # G
dz = z[1] - z[0]


def normal(z, mean, std):
    return np.exp(-(((z - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))


def kl_on_grid(q, p, cell=dz):
    """The integral of q log(q/p) over all points of the last axis: densities (..., G) -> (...)."""
    return (q * np.log(q.clip(1e-300) / p.clip(1e-300))).sum(axis=-1) * cell


fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for ax, x, title in zip(axes, (2, 1), ("peaks far apart: one peak or the middle", "peaks close: both take the middle")):
    joint = normal(z, 0, 1) * normal(x, z**2, 0.5)  # G, prior times likelihood
    p = joint / (joint.sum() * dz)  # G, the posterior; its mean is 0
    mean, log_std, reach = 1.0, -1.0, 1.5
    for _ in range(30):  # the least KL(q || p): try a mesh of means and widths, go to its best point, halve the mesh
        means, log_stds = np.meshgrid(mean + reach * np.linspace(-1, 1, 7), log_std + reach * np.linspace(-1, 1, 7))
        kl = kl_on_grid(normal(z, means[..., None], np.exp(log_stds)[..., None]), p)  # 7, 7
        best = np.unravel_index(kl.argmin(), kl.shape)
        mean, log_std, reach = means[best], log_stds[best], reach / 2
    std, away = np.exp(log_std), kl.min()
    q, cover = normal(z, mean, std), normal(z, 0, np.sqrt((p * z**2).sum() * dz))  # G; G
    empty = (cover * (p < p.max() / 100)).sum() * dz  # mass of the covering q where p is below 1% of its peak
    print(f"x = {x}: KL(q || p) {away:.4f} at N({abs(mean):.3f}, {std:.3f}²); covering q: {empty:.0%} where p ~ 0")
    assert abs(away - np.log(2)) < 0.02 and 1.32 < mean < 1.34 and 0.5 < empty < 0.53 if x == 2 else abs(mean) < 1e-4
    ax.fill_between(z, p, color="#CCCCCC", label="posterior p")
    ax.plot(z, q, color=WINE, lw=2, label=f"least KL(q || p) = {away:.2f}")
    ax.plot(z, cover, "--", color=INDIGO, lw=2, label=f"least KL(p || q) = {kl_on_grid(p, cover):.2f}")
    ax.set(xlabel="z", ylabel="density", xlim=(-3.6, 3.6), ylim=(0, 1.45 * q.max()), title=f"x = {x}, {title}")
    ax.legend(frameon=False, loc="upper left", ncols=2, fontsize=9)
fig.savefig(FIGURES / "03_two_kls.png", dpi=130)

# %% [markdown]
# Left: the KL of the bound takes one peak, either will do. There p is half of what it would be with one peak: log 2 =
# .693 nats, and .02 because a peak is no Gaussian. The covering q has half of its mass where p is next to nothing.
# "Mode-seeking" is no law: on the right the same KL takes the middle.
#
# ## Why everyone uses the log-variance
# Against N(0, 1), dKL/dσ = σ - 1/σ: as q gets narrow, it is unbounded, -1000 at σ = .001. dKL/dlogvar = (σ² - 1)/2 is
# never below -1/2. (As q gets wide, both grow.) Besides, logvar may be any number, while σ has to stay positive.

# %%
sigma, rate = 1e-3, 0.01
by_sigma, by_logvar = sigma - 1 / sigma, (sigma**2 - 1) / 2
print(f"σ = {sigma}: slope by σ {by_sigma:.3f}, by logvar {by_logvar:.7f}")
print(f"a step of rate {rate} goes to σ = {sigma - rate * by_sigma:.3f} or {sigma * np.exp(-rate * by_logvar / 2):.6f}")
slopes = tv.DiagonalGaussian(np.zeros((1, 1)), np.full((1, 1), 2 * np.log(sigma))).kl_grad()  # B = 1, 2K
assert abs(by_sigma + 999.999) < 1e-9 and abs(by_logvar + 0.4999995) < 1e-9 and abs(slopes[0, 1] - by_logvar) < 1e-9

# %% [markdown]
# ## One code, or all of them?
# A new image is made from a draw of the prior. So it is not the code of *one* image, q(z | x), that has to be like the
# prior, but those of all images together, the **aggregate posterior** q(z) = mean over images of q(z | x). Lecture
# notes take one for the other: "the codes are N(0, 1)", "the KL maps the data to a Gaussian". Insert q(z):
#
#     log q(z|x) - log p(z)  = [log q(z|x) - log q(z)] + [log q(z) - log p(z)]       average over x, then z ~ q(z | x):
#     mean KL(q(z|x) || p)   =            I            +   KL(q(z) || p)
#     the **rate** R           mutual information          all codes against the prior
#
# I is what a code tells about which image it came from. No KL is negative, so I ≤ R, with equality if q(z) = p(z): for
# z ~ N(0, 1), x ~ N(z, 1) and the exact posterior N(x/2, 1/2), both are log(2)/2. "I < R" is too strong.
#
# **Predict before you run.** Two images have the codes N(-.95, .0975) and N(.95, .0975). Together they have the mean 0
# and the variance .95² + .0975 = 1. How far is q(z) from N(0, 1)?

# %%
width, two_codes = np.sqrt(0.0975), {}
for center in (0.95, 5.0):
    together = (normal(z, center, width) + normal(z, -center, width)) / 2  # G
    R, I = kl_by_hand((center, width), narrow), kl_on_grid(normal(z, center, width), together)
    two_codes[center] = R, I, kl_on_grid(together, normal(z, 0, 1))
    print("codes at ±{}: rate {:.3f} = information {:.3f} + mismatch {:.3f}".format(center, *two_codes[center]))
assert all(abs(R - I - KL) < 1e-9 for R, I, KL in two_codes.values())
assert np.round([*two_codes.values()], 3).tolist() == [[1.164, 0.690, 0.474], [13.213, 0.693, 12.520]]

nodes, weights = tv.check.gauss_hermite(64, 1)  # N, 1; N
each = normal(z, np.sqrt(2) * nodes / 2, np.sqrt(0.5))  # N, G: q(z | x) at the nodes of x ~ N(0, 2)
R, I = (weights @ kl_on_grid(each, other) for other in (normal(z, 0, 1), weights @ each))
print(f"exact posterior: rate {R:.6f}, information {I:.6f}")
assert max(abs(R - np.log(2) / 2), abs(I - R)) < 1e-9

# %% [markdown]
# Mean 0 and variance 1 do not make a Gaussian: .474 nats. And a "rate against q(z)" would be I, which does not see
# where the codes are: at ±5, far from all draws of the prior, I is .693 instead of .690, R is 13.2 instead of 1.2.
#
# Now the digits, K = 2, three seeds. Each number is computed in its own way: R from two nodes a dimension (a parabola),
# I from eight around each code (log q(z) is smooth there), KL(q(z) || p) on a grid. Do they add up?

# %%
axis = np.linspace(-6, 6, 401)  # G
cell = (axis[1] - axis[0]) ** 2
prior = np.outer(normal(axis, 0, 1), normal(axis, 0, 1))  # G, G
images = tv.datasets.binarize(tv.datasets.load("digits").train, np.random.default_rng(0))  # B = 1437, D
nodes, weights = tv.check.gauss_hermite(8, 1)  # N, 1; N
runs = []
print("seed   rate R   information I   KL(q(z) || p)   I + KL - R   prior mass where q(z) < p(z)/2")
for seed in range(3):
    vae = tv.VAE(n_features=64, n_latents=2, hidden=(100,), seed=seed)
    for _ in tv.train(vae, images, optimizer=tv.Adam(3e-3), n_samples=1, epochs=200, batch_size=100, seed=seed):
        pass
    code = vae.encode(images)  # float32
    q = tv.DiagonalGaussian(code.mu.astype("float64"), code.logvar.astype("float64"))  # B, K
    at = normal(axis[:, None, None], q.mu, q.std)  # G, B, K
    together = at[..., 0] @ at[..., 1].T / len(images)  # G, G
    cross = 0.0  # E[log q(z)], z from all codes in turn; a density of K dimensions is a product over K
    for mu, std in zip(q.mu, q.std):
        at = normal(mu + std * nodes, q.mu[:, None], q.std[:, None])  # B, N, K
        cross += weights @ np.log(at[..., 0].T @ at[..., 1] / len(images)) @ weights / len(images)
    own = -0.5 * (q.logvar + np.log(2 * np.pi) + 1).sum(axis=1).mean()  # E[log q(z|x)], by hand
    at, shares = q.nodes(2)  # 4, B, K; 4, B
    R = (shares * (q.log_prob(at) - q.prior.log_prob(at))).sum(axis=0).mean()
    I, KL = own - cross, kl_on_grid(together, prior, cell).sum()
    thin = prior[together < prior / 2].sum() * cell
    runs.append((R, I, KL, thin, q, together))
    print(f"{seed:4d}{R:9.3f}{I:16.3f}{KL:16.3f}{I + KL - R:13.0e}{thin:18.1%}")

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained", width_ratios=(1, 1, 0.8))
R, I, KL, _, q, together = runs[0]
turn = np.linspace(0, 2 * np.pi, 60)[:, None]  # 60, 1
axes[0].plot(*(q.mu[:60, k] + q.std[:60, k] * wave(turn) for k, wave in ((0, np.cos), (1, np.sin))), color=WINE, lw=0.9)
axes[1].contourf(axis, axis, together.T, levels=np.linspace(0.004, 0.2, 8), cmap="Greys", extend="max")
for ax in axes[:2]:
    rings = np.cos(turn) * [1, 2], np.sin(turn) * [1, 2]  # 60, 2; 60, 2
    ax.plot(*rings, "--", color=INDIGO, lw=1.5, label=["prior: 1 and 2 widths", None])
    ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", xlabel="z₁", ylabel="z₂")
    ax.legend(frameon=False, loc="upper left", fontsize=9)
axes[0].set_title(f"One digit's code: {R:.2f} nats from the prior\n(mean of all; 60 shown, one width)")
axes[1].set_title(f"All 1,437 together: {KL:.2f} nats\n(density of q(z))")
R, I, KL = np.array([run[:3] for run in runs] + [two_codes[0.95]]).T  # four each
axes[2].bar(range(4), I, color="#BBBBBB", edgecolor=BLACK, label="information I")
axes[2].bar(range(4), KL, bottom=I, color=WINE, edgecolor=BLACK, label="KL(q(z) || p)")
axes[2].hlines(R, np.arange(4) - 0.47, np.arange(4) + 0.47, color=INDIGO, lw=2.5, label="rate R")
axes[2].set_xticks(range(4), ["digits,\nseed 0", "seed 1", "seed 2", "two codes\nat ±.95"])
axes[2].set(ylabel="nats an image", ylim=(0, 3.4), title="The rate of digits is information")
axes[2].legend(frameon=False, loc="upper left", ncols=2, fontsize=9)
fig.savefig(FIGURES / "03_aggregate.png", dpi=130)

# %% [markdown]
# They do, to 1e-4. A digit's code is far from the prior, all of them together are near it. That is a result,
# not a law: the loss holds R, and a larger KL(q(z) || p) may pay for a better reconstruction. Nor is the latent space
# complete: 1.6 to 3% of the prior's draws land where q(z) is less than half as dense as p(z).
#
# **Believed before:** the KL is a distance; it makes every code a N(0, 1), and so fills the latent space.
# **Believe now:** it is evidence, and has a direction. In the loss it is information plus a mismatch of the aggregate.
# **The number that changed it:** 2.4 nats for one digit's code, .07 for all of them together.
#
# **Sources:** Kullback & Leibler, On information and sufficiency (1951). Golub & Welsch, Calculation of Gauss
# quadrature rules (1969). Bishop, Pattern Recognition and Machine Learning (2006), section 10.1.2. Kingma & Welling,
# Auto-Encoding Variational Bayes (2014), appendix B. Hoffman & Johnson, ELBO surgery (2016).
#
# **Exercises:** `tinyvae exercise 03`
# 1. `expectation_by_quadrature`: E[f(z)] for any Gaussian, from nodes.
# 2. `nats_given_away`: what a diagonal q costs in any linear-Gaussian model.
# 3. `mutual_information`: what a set of codes says, by quadrature.

# %%
R, I, KL, thin = np.array([run[:4] for run in runs]).T  # one a seed
assert (abs(I + KL - R) < 1e-4).all() and abs(thin.min() - 0.016) < 0.005 and abs(thin.max() - 0.03) < 0.005
assert all(abs(v.mean() - told) < 5 * v.std(ddof=1) / np.sqrt(3) + 0.05 * told for v, told in ((R, 2.4), (KL, 0.07)))
R, I, KL = np.round([R.mean(), I.mean(), KL.mean()], 2)
print(f"Headline: a code is {R} nats from the prior; {I} of them are information, {KL} is all codes together.")
