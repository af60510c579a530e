"""One expectation, two gradients

Question: how do you differentiate E_{z ~ N(μ, σ²)}[f(z)] with respect to μ and σ if all you can do is draw samples?

There are two classic answers. This lesson derives both, checks them against an exact integral, and shows how unlike
they are in a single draw, and where each of them is wrong.
"""

# %% [markdown]
# **Needs:** lesson 03 (the moments E[ε²] = 1, E[ε⁴] = 3, E[ε⁶] = 15 of a standard normal ε, and quadrature) and the
# chain rule of lesson 04; about 15 minutes. Shapes: S samples, B distributions side by side, K dimensions of z, here 1.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import check, plots

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
NAMES = "reparameterization", "leave_one_out", "score_function"
LABELS = {name: name.replace("_", " ") for name in NAMES}
COLORS = {name: plots.style(name)["color"] for name in LABELS}
GREY = "#555555"
rng = np.random.default_rng(0)

# %% [markdown]
# ## The problem
# A random z comes from a Gaussian whose mean μ and width σ we may choose, and costs us f(z). Which way should μ and σ
# move so that the *expected* cost falls? (In a variational autoencoder a network chooses μ and σ, and f is how badly a
# decoder reconstructs an image from z.) Take f(z) = (z - k)², because here we know the answer. With a = μ - k,
#
#     E[f(z)] = a² + σ²,    dE/dμ = 2a,    dE/dσ = 2σ.

# %%
mu, sigma, k = 1.0, 1.0, -3.0
a = mu - k
exact_dmu = 2 * a  # 8


def f(z):
    return (z - k) ** 2


# %% [markdown]
# Just try it: estimate E[f] by an average over samples at μ, again at μ + δ, subtract, divide by δ. The noise of the
# two averages does not cancel, and is divided by δ as well.


# %%
def show(name, values):
    """Print an average and its standard error, and return both."""
    mean, error = values.mean(), values.std() / np.sqrt(len(values))
    print(f"{name:<40} {mean:9.3f} ± {error:.3f}")
    return mean, error


n, delta = 10_000, 0.01
here, there = mu + sigma * rng.standard_normal(n), mu + delta + sigma * rng.standard_normal(n)  # n; n
print(f"{'exact dE/dμ':<40} {exact_dmu:9.3f}")
_, hopeless = show("difference of two sets of samples", (f(there) - f(here)) / delta)
assert hopeless > exact_dmu  # ten thousand samples, and the error is larger than the answer

# %% [markdown]
# The cure is to use the *same* samples twice, and there are two ways to do it.
#
# 1. **Leave the samples where they are and change their weights.** A sample z from q(z; μ) stands in for one from
#    q(z; μ + δ) if it counts with weight q(z; μ + δ) / q(z; μ).
# 2. **Keep the weights and move the samples.** If z = μ + σ ε with ε ~ N(0, 1), the same ε gives z + δ at μ + δ.
#
# **Predict before you run:** both are right on average. Is one of them more precise, and by how much?

# %%
eps = rng.standard_normal(n)  # n
z = mu + sigma * eps  # n
weight = np.exp(((z - mu) ** 2 - (z - mu - delta) ** 2) / (2 * sigma**2))  # n
_, error_1 = show("1. same samples, new weights", (weight * f(z) - f(z)) / delta)
_, error_2 = show("2. same noise, moved samples", (f(mu + delta + sigma * eps) - f(z)) / delta)
print(f"The standard errors' ratio is {error_1 / error_2:.1f}, its square {(error_1 / error_2) ** 2:.0f}")

# %% [markdown]
# The second's standard error is 11 times smaller: it needs 124 times fewer samples (a number that is derived below,
# without this run's noise). The picture shows what each of them looks at, with a nudge δ large enough to see.

# %%
nudge, few = 0.6, mu + sigma * np.array([-1.9, -1.1, -0.35, 0.4, 1.2, 2.0])  # 6
grid = np.linspace(-2.6, 5.2, 400)  # 400


def density(x, mean):
    return np.exp(-((x - mean) ** 2) / (2 * sigma**2)) / np.sqrt(2 * np.pi * sigma**2)


fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
for ax, title in zip(axes, ("score function: samples stay, weights change", "reparameterization: samples move")):
    ax.plot(grid, f(grid), color="black", lw=1.2)
    ax.text(3.6, f(3.6) + 1.5, "f(z)", ha="right")
    for mean, line, label in ((mu, "-", "q at μ"), (mu + nudge, "--", "q at μ + δ")):
        ax.plot(grid, 40 * density(grid, mean) - 20, line, color=GREY, lw=1.2, label=label)
    ax.scatter(few, f(few), s=60, facecolors="none", edgecolors=GREY, linestyles=":", zorder=3)
    ax.set(title=title, xlabel="z", ylim=(-21, 72), yticks=range(0, 71, 10))
    ax.legend(loc="upper left", frameon=False)
axes[0].set_ylabel("cost f(z)")
ratio = density(few, mu + nudge) / density(few, mu)  # 6
axes[0].scatter(few, f(few), s=60 * ratio, color=COLORS["score_function"], alpha=0.75, zorder=2)
axes[0].text(5.1, -6, "area of the disc:\nnew weight\n(dotted: old, 1)", color=COLORS["score_function"], ha="right")
for point in few:
    arrow = {"arrowstyle": "-|>", "color": COLORS["reparameterization"], "lw": 2}
    axes[1].annotate("", (point + nudge, f(point + nudge)), (point, f(point)), arrowprops=arrow)
axes[1].text(5.1, -6, "each arrow climbs\nat the slope of f;\nweights stay 1", color=COLORS[NAMES[0]], ha="right")
fig.savefig(FIGURES / "05_two_nudges.png", dpi=130)

# %% [markdown]
# ## Letting δ go to zero: the two identities
# Call the parameter λ; here λ is μ or σ.
#
# **The score function.** The weights carry λ.
#
#     d/dλ E_q[f(z)] = ∫ dq(z; λ)/dλ · f(z) dz                        f does not contain λ
#                    = ∫ q(z; λ) · d log q(z; λ)/dλ · f(z) dz         because d log q = dq / q
#                    = E_q[ f(z) · d log q(z; λ)/dλ ]                 an expectation again: average samples of it
#
# The factor d log q/dλ is called the **score**. It says by how much a small step in λ makes this z more likely.
#
# **The reparameterization**, also called the pathwise estimator. The samples carry λ.
#
#     d/dλ E_q[f(z)] = d/dλ E_ε[ f(z(ε; λ)) ]                          z = μ + σ ε, and ε ~ N(0, 1) knows nothing of λ
#                    = E_ε[ f'(z) · dz/dλ ]                            the chain rule
#                    = E_ε[ f'(z) · (1 for μ, ε for σ) ]               an expectation again
#
# The first needs the *value* of f and the second its *slope*, f'. For the Gaussian, with ε = (z - μ)/σ,
#
#     d log q/dμ = ε / σ         d log q/dσ = (ε² - 1) / σ
#
# Both derivations moved d/dλ inside an integral. That has a price, to be paid below.
#
# From here on the second parameter is logvar = log σ², for the reason given in lesson 03. Since σ = exp(logvar / 2),
# dσ/dlogvar = σ/2: multiply every derivative for σ by σ/2. The truth becomes dE/dlogvar = σ². The package has both
# estimators as functions of one signature: they take the distribution, the target f and the noise, and return
# `dparams`, each sample's own gradient, first for μ, then for logvar.

# %%
by_hand = {
    "score_function": np.stack([f(z) * eps / sigma, f(z) * (eps**2 - 1) / 2], axis=1),  # n, 2
    "reparameterization": 2 * (z - k)[:, None] * np.stack([np.ones(n), sigma * eps / 2], axis=1),  # n, 2
}
q = tv.DiagonalGaussian(mu=np.array([[mu]]), logvar=np.array([[2 * np.log(sigma)]]))  # B = 1, K = 1
target = tv.Target(value=lambda z: f(z).sum(axis=-1), grad=lambda z: 2 * (z - k))  # z (S, B, K) -> (S, B); (S, B, K)
for name, ours in by_hand.items():
    draws = tv.estimators.make(name)(q, target, eps[:, None, None])  # noise (S, B, K) = (n, 1, 1)
    assert np.allclose(draws.dparams[:, 0], ours)  # S, 2
    print(f"{name:<20} by hand = by the package;  d/dμ {ours[:, 0].mean():.3f},  d/dlogvar {ours[:, 1].mean():.3f}")

# %% [markdown]
# ## Are they right? An exact test instead of a long average
# The noise is an argument of the estimators, so we can hand them the nodes of a quadrature instead of random numbers.
# `check.exact_mean` does, and returns the exact mean and variance of the estimate. With n nodes the quadrature is exact
# for polynomials up to degree 2n - 1. A cosine is no polynomial, but under the Gaussian it is as good as one: the error
# is n!/(2n)! times a 2n-th derivative of the integrand; 20 nodes make it 3e-30 for cos z, below 1e-26 with the score.


# %%
def exact(name, function, q=q, **options):
    """The exact mean and variance of the estimate of dE/dμ and dE/dlogvar, 2 each."""
    return [moment[0] for moment in check.exact_mean(name, q, function, **options)]  # of B, 2 each


cosine = tv.Target(lambda z: np.cos(z).sum(axis=-1), lambda z: -np.sin(z))
damping = np.exp(-(sigma**2) / 2)  # E[cos z] = cos(μ) exp(-σ²/2)
truths = {
    "(z - k)²": (target, np.array([2 * a, sigma**2])),
    "cos z": (cosine, np.array([-np.sin(mu) * damping, -np.cos(mu) * damping * sigma**2 / 2])),
}
for label, (function, truth) in truths.items():
    means = {"by algebra": truth} | {name: exact(name, function)[0] for name in by_hand}  # 2 each
    for name, mean in means.items():
        print(f"{label:<10}{name:<20} d/dμ {mean[0]:12.8f}   d/dlogvar {mean[1]:12.8f}")
        assert np.allclose(mean, truth, atol=1e-9)

# %% [markdown]
# Same mean, to the last digit. Now the variance of one sample's d/dμ. The reparameterization's sample is 2(a + σε), of
# variance 4σ². The score function's is a polynomial in ε, and the moments 1, 3, 15 give its mean square:
#
#     (a + σε)² ε/σ = (a²/σ) ε + 2a ε² + σ ε³
#     mean square   = a⁴/σ² + 3 · 4a² + 15σ² + 2 · 3a² = a⁴/σ² + 18a² + 15σ²        (ε · ε³ has the mean E[ε⁴] = 3)
#     variance      = mean square - (2a)²              = a⁴/σ² + 14a² + 15σ²
#
# At a = 4, σ = 1 that is 4 against 495. A draw of the reparameterization is 8 ± 2. A draw of the score function is
# 8 ± 22, and half of them have the wrong sign: f > 0, so every z < μ gives the wrong sign.

# %%
formula = {"score_function": a**4 / sigma**2 + 14 * a**2 + 15 * sigma**2, "reparameterization": 4 * sigma**2}
many = q.noise(rng, 200_000)  # S, 1, 1
single = {name: tv.estimators.make(name)(q, target, many).dmu[:, 0, 0] for name in by_hand}  # S each
wrong = {name: (g < 0).mean() for name, g in single.items()}
variances = {name: exact(name, target)[1][0] for name in by_hand}
for name, variance in variances.items():
    print(f"{name:<20} variance {variance:.6f}, formula {formula[name]:.0f}; wrong sign {wrong[name]:.1%}")
    assert abs(variance - formula[name]) < 1e-9
assert abs(wrong["score_function"] - 0.5) < 5 * 0.5 / np.sqrt(len(many)) and wrong["reparameterization"] < 1e-3

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, g in single.items():
    label = f"{LABELS[name]}: {g.mean():.1f} ± {g.std():.1f}, left of 0: {wrong[name]:.0%}"
    ax.hist(g, np.arange(-12, 61), weights=np.full(len(g), 100 / len(g)), alpha=0.5, color=COLORS[name], label=label)
ax.axvline(0, color="black", lw=1)
ax.axvline(exact_dmu, color="black", lw=1, ls="--", label="exact: 8")
ax.set(xlabel="dE/dμ from one sample (the cost's unit)", ylabel="share, %, a bin of 1", xlim=(-12, 60), ylim=(0, 26))
ax.set_title("Half of the score function's draws have the wrong sign")
ax.legend(frameon=False, title="mean ± standard deviation of a draw")
fig.savefig(FIGURES / "05_draws.png", dpi=130)

# %% [markdown]
# ## A constant that changes nothing, and everything
# Charge b less for every z. No gradient changes, since d/dμ E[f - b] = d/dμ E[f]. The reparameterization sees slopes
# and never notices. The score function multiplies its score by f - b. Its mean stays, for the score has mean zero (put
# f = 1 into the identity: E[1] = 1 has derivative 0), and b is called a **baseline**. The variance is a parabola in b,
#
#     Var[d/dμ] = Var[g] - 2b Cov[g, ε/σ] + b²/σ²,     g = f(z) ε/σ,     Cov[g, ε/σ] = E[f ε²]/σ² = (a² + 3σ²)/σ²
#
# lowest at b* = a² + 3σ², where 8a² + 6σ² is left.

# %%
for b, expected in ((-30, 2535), (0, 495), (a**2 + sigma**2, 138), (a**2 + 3 * sigma**2, 134)):
    shifted = tv.Target(lambda z: f(z).sum(axis=-1) - b, lambda z: 2 * (z - k))
    (mean, variance), (_, other) = (exact(name, shifted) for name in by_hand)  # 2 each
    print(f"b = {b:5.1f}   score function: {mean[0]:.3f}, variance {variance[0]:6.1f}; the other's {other[0]:.1f}")
    assert abs(variance[0] - expected) < 1e-9 and abs(mean[0] - 8) < 1e-9 and abs(other[0] - 4) < 1e-9

# %% [markdown]
# b* = 19 exceeds E[f] = 17: draws with a large score weigh more, and cost more. Even the best constant leaves 134
# against 4: a constant removes f's level, not its variation.
#
# Nobody knows E[f] in practice. But with S samples, each one's baseline can be the mean cost of the others:
# `leave_one_out`. (Of the *others*: a baseline that contains z itself biases the estimate.) Since f_s - mean of the
# others = S/(S-1) (f_s - mean of all), it is the sample covariance of f and score, whose variance is in textbooks:
#
#     1/S Σ_s (f_s - mean of the others) score_s = 1/(S-1) Σ_s (f_s - mean of all) score_s
#     S · Var = E[(f - E f)² score²] - c² + (Var[f] Var[score] + c²) / (S - 1),     c = Cov[f, score] = 8
#             =            138            +          (66 · 1 + 64) / (S - 1)        Var[f] = 4a²σ² + 2σ⁴
#
# The first term is what the baseline E[f] leaves, the second what it costs not to know it. Two samples: 134 against
# 247.5. That is at μ = 1. At the best μ, a = 0, the reparameterization has 4 a sample, leave-one-out 12, the score
# function 15: variance belongs to a *place*, so always say at which parameters it was measured. To check this exactly,
# the quadrature must run over all S noises at once: every combination of nodes, 4 · 4 for two samples.

# %%
two_samples = [exact(name, target, n_samples=2, n_nodes=4)[1][0] for name in NAMES]
assert np.allclose(two_samples, [2, 134, 247.5], atol=1e-9)
for S in (2, 3, 5):
    variance = exact("leave_one_out", target, n_samples=S, n_nodes=4)[1][0]
    print(f"leave-one-out, S = {S}: S times the variance {S * variance:.3f}, formula {138 + 130 / (S - 1):.3f}")
    assert abs(S * variance - (138 + 130 / (S - 1))) < 1e-9
best = tv.DiagonalGaussian(np.array([[k]]), q.logvar)  # a = 0
at_best = [2 * exact(name, target, best, n_samples=2)[1][0] for name in NAMES]
assert np.allclose(at_best, [4, 12, 15], atol=1e-9)

# %% [markdown]
# ## Where each of them is wrong
# The score function asks less: f may be a table, a game, or jump. Take f(z) = 1 if z > 0, else 0. The truth is dE/dμ =
# dP(z > 0)/dμ = the density of z at 0. Now the other way round: z uniform on (0, λ), and f(z) = z². Then E[f] = λ²/3,
# of slope 2λ/3; log q = -log λ, of slope -1/λ; and z = λu with u uniform on (0, 1), of slope u.
#
# **Predict before you run:** what does each of the two say, in each of the two cases?

# %%
jump = tv.Target(lambda z: (z[..., 0] > 0).astype(float), lambda z: np.zeros_like(z))
exact_jump, lam = density(0.0, mu), 2.0
u = rng.random(len(many))  # S, of (0, 1)
found = {
    "a jump, score function": (tv.estimators.score_function(q, jump, many).dmu, exact_jump),
    "a jump, reparameterization": (tv.estimators.reparameterization(q, jump, many).dmu, 0),
    "an edge that moves, score function": ((lam * u) ** 2 * (-1 / lam), -lam / 3),
    "an edge that moves, reparameterization": (2 * (lam * u) * u, 2 * lam / 3),
}
print(f"exact: a jump {exact_jump:.3f}, an edge that moves {2 * lam / 3:.3f}")
for label, (g, expected) in found.items():
    mean, error = show(label, g.ravel())
    assert abs(mean - expected) <= 5 * error

fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
near = np.linspace(-nudge, 0, 50)  # 50
axes[0].fill_between(near, density(near, mu), color=COLORS["reparameterization"], alpha=0.5)
axes[0].text(-2.5, 0.25, "these samples cross\nthe jump: f' = 0\ncannot see it")
axes[0].plot(grid, 0.6 * (grid > 0), color="black", lw=1.2, label="f, drawn at 0.6 of its height")
axes[1].fill_between([lam, lam + nudge], 1 / (lam + nudge), color=COLORS["score_function"], alpha=0.5)
axes[1].text(lam + 0.7, 0.15, "no sample of q\nhas been here: no\nweight can show it")
axes[1].plot(grid[grid > 0], grid[grid > 0] ** 2 / 15, color="black", lw=1.2, label="f = z², drawn at 1/15")
for shift, line, label in ((0, "-", "q"), (nudge, "--", "q, nudged")):
    edge = lam + shift
    axes[0].plot(grid, density(grid, mu + shift), line, color=GREY, label=label)
    axes[1].plot([0, 0, edge, edge], [0, 1 / edge, 1 / edge, 0], line, color=GREY, label=label)
axes[0].set_title(f"reparameterization at a jump: 0 for {exact_jump:.3f}")
axes[1].set_title(f"score function at a moving edge: {-lam / 3:.2f} for +{2 * lam / 3:.2f}")
for ax in axes:
    ax.set(xlabel="z", ylabel="probability density", ylim=(0, 0.75), xlim=(-2.6, 5.2))
    ax.legend(frameon=False, loc="upper left")
fig.savefig(FIGURES / "05_failures.png", dpi=130)

# %% [markdown]
# Neither warns. At the jump the reparameterization says 0, without any noise. At the edge the score function says
# -λ/3 for 2λ/3, wrong in sign: it sees the density sink from 1/λ, and not the strip that q gains. The strip carries
# f(λ) q(λ) = λ, and -λ/3 + λ = 2λ/3. So when may the derivative go inside?
#
# - **Score function:** q(z; λ) has a slope in λ at every z, which, times f, stays below something integrable for all λ
#   nearby. An edge may move only where q has fallen to zero. Of f nothing more is asked.
# - **Reparameterization:** z(ε; λ) has a slope in λ; f is continuous and has a slope except at single points, so kinks
#   are allowed and jumps are not; and f'(z) dz/dλ stays below something integrable for all λ nearby.
#
# ## Not only for Gaussians
# Any z = z(ε; λ) will do, if ε knows nothing of λ. Where the distribution function F can be inverted, z = F⁻¹(u; λ) is
# one. (A coin has none that is continuous.) With f = z²:

# %%
s, m, w = 0.5, 0.5, 0.5  # the logistic's scale, the exponential's mean, the σ of log z
logit, wait, e = np.log(u / (1 - u)), -np.log(u), many.ravel()  # S each
families = {  # name: z; dz/dλ; d log q/dλ; E[z²]' by algebra
    "logistic": (s * logit, logit, (logit * np.tanh(logit / 2) - 1) / s, 2 * s * np.pi**2 / 3),
    "exponential": (m * wait, wait, (wait - 1) / m, 4 * m),
    "log-normal": (np.exp(w * e), e * np.exp(w * e), (e**2 - 1) / w, 4 * w * np.exp(2 * w**2)),
}
for label, (z, dz, score, truth) in families.items():
    for name, g in (("score function", z**2 * score), ("reparameterization", 2 * z * dz)):
        mean, error = show(f"{label}, {truth:.3f}: {name}", g)
        assert abs(mean - truth) < 5 * error

# %% [markdown]
# **Believed before:** an expectation has one gradient, so how it is estimated is a detail. **Believe now:** weights and
# samples can both carry the parameter; the two estimates share their mean and little else, and each has a condition
# that nobody checks for you. **The number that changed it:** 495 against 4 for one gradient, and -0.67 for 1.33.
#
# **Sources:** Kingma & Welling 2014, section 2.4 (and for which families); Mohamed et al. 2020, "Monte Carlo gradient
# estimation in machine learning", sections 4 (score function) and 5 (pathwise); Glasserman 2003, "Monte Carlo methods
# in financial engineering", section 7.2 (when the derivative may go inside).
#
# **Exercises:** `tinyvae exercise 05`
# - `variance_of_a_quartic`: both estimators' variance for f = z⁴, in closed form.
# - `variance_of_leave_one_out`: for the bowl, at any a, σ and S.
# - `quieter_step`: an estimator for a jump, without bias, quieter than the score function.

# %%
for name, g in single.items():
    mean, error = show(f"{name}, squared deviation", (g - exact_dmu) ** 2)  # of S draws: its mean is the variance
    assert abs(mean - variances[name]) < 5 * error
factor = variances["score_function"] / variances["reparameterization"]
assert abs(factor - 123.75) < 1e-9 and not found["a jump, reparameterization"][0].any()
print(f"Headline: one sample has variance 495 or 4, a factor of {factor:.2f}; and each way is blind somewhere.")
