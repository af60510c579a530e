"""Fill in what is missing

Question: part of a data point is missing. What does a model say of that part, and how is it drawn?
"""

# %% [markdown]
# **Needs:** lessons 02 (posterior, drawn pixels against mean pixels) and 07 (the encoder's q(z | x)); about 15 minutes.
#
# A latent variable model has three tasks. Lesson 01 coded data and lesson 02 drew new ones. The third: a data point x
# has **holes**. Write x_o for the pixels that are observed and x_m for those that are missing. The answer is not one
# image. It is a distribution, the **conditional**,
#
#     p(x_m | x_o) = ∫ p(x_m | z) p(z | x_o) dz                given z the pixels are independent, so x_o drops out
#
# Read it as a recipe: draw a code that explains *what is there*, then draw the missing pixels from the code. The second
# part is a pass through the decoder. The first is hard: p(z | x_o) is a posterior, and the encoder was trained to give
# q(z | x) for a **whole** x. It has no input for "not known".
#
# Shapes: D pixels, K dimensions of the code, S draws for each of B data points. Errors of pixels are sums of squares.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)

# %% [markdown]
# ## A model where the answer is a formula
# Lesson 02's linear model with two pixels and one dimension of code: z ~ N(0, 1), x = W z + m + s ε. Here W = (1, 1),
# m = (0, 1), s = 1/2. So x ~ N(m, C) with C = W W.T + s² I. For any Gaussian, split into observed and missing parts,
#
#     E[x_m | x_o]   = m_m + C_mo C_oo⁻¹ (x_o - m_o)           a linear regression of x_m on x_o
#     Cov[x_m | x_o] = C_mm - C_mo C_oo⁻¹ C_om                 the same for every x_o
#
# Observed is x_o = 2. C has 5/4 on its diagonal and 1 beside it: the mean is 1 + (4/5) 2 = 2.6, the variance
# 5/4 - 4/5 = 0.45. And z given x_o alone has mean 2 / (5/4) = 1.6 and variance s² / (1 + s²) = 0.2.

# %%
W, m, s, x_o = np.array([[1.0], [1.0]]), np.array([0.0, 1.0]), 0.5, 2.0
model = tv.problems.LinearGaussian(W, m, s)
C = W @ W.T + s**2 * np.eye(2)  # D, D
mean = m[1] + C[1, 0] / C[0, 0] * (x_o - m[0])
var = C[1, 1] - C[1, 0] / C[0, 0] * C[0, 1]
first_pixel = tv.problems.LinearGaussian(W[:1], m[:1], s)  # the model of what is there
z_mean, z_var = (float(part.item()) for part in first_pixel.posterior(np.array([[x_o]])))
print(f"x_m given x_o: mean {mean:.2f}, variance {var:.2f}; z given x_o: mean {z_mean:.2f}, variance {z_var:.2f}")
assert np.allclose((mean, var, z_mean, z_var), (2.6, 0.45, 1.6, 0.2), rtol=0, atol=1e-9)
axis = np.linspace(-3, 6, 901)  # N: by Bayes' rule, too
joint = model.log_likelihood(np.stack([np.full_like(axis, x_o), axis], axis=1))  # N: log p(x_o, x_m)
density = np.exp(joint - first_pixel.log_likelihood(np.array([[x_o]])))  # N
assert np.allclose(density, np.exp(-((axis - 2.6) ** 2) / 0.9) / np.sqrt(0.9 * np.pi), rtol=0, atol=1e-9)

# %% [markdown]
# ## A filled-in value is read as an observation
# The tempting short cut: put something in the hole, zeros or the pixel's mean, and encode. Take the best encoder there
# can be, the posterior itself: for a whole x it says N(a Σ_d (x_d - m_d), τ²), with a = 1 / (2 + s²) = 4/9 and
# τ² = s² a = 1/9.
#
# **Predict before you run:** fill in the pixel's mean, m_m = 1, which favours nothing. Is the code right on average?

# %%
a, tau = 1 / (2 + s**2), np.sqrt(s**2 / (2 + s**2))
fills = {"zero": 0.0, "the pixel's mean": m[1], "the right mean, 2.6": mean}
read = {}
for name, fill in fills.items():
    center, spread = model.posterior(np.array([[x_o, fill]]))
    read[name] = center.item(), spread.item()
    assert np.allclose(read[name], (a * (x_o + fill - 1), tau**2), rtol=0, atol=1e-9)
    print(f"hole filled with {name}: z has mean {read[name][0]:.3f}, variance {read[name][1]:.3f}; right: 1.600, 0.200")
assert np.allclose(read["the pixel's mean"], (8 / 9, 1 / 9)) and np.allclose(read["zero"], (4 / 9, 1 / 9))
# Total variance: what the code would vary by if x_m were known, and what it varies by because x_m is not.
assert abs(tau**2 + a**2 * var - z_var) < 1e-9

# %% [markdown]
# No: 8/9, where 1.6 is right. The encoder has not heard "I do not know x_m", it has heard "x_m is 1, I looked". An
# average pixel beside a bright one is evidence for an average code. Zero is worse, 4/9. Even the *right* mean in the
# hole gives a code that is too sure, variance 1/9 for 1/5: the law of total variance has a second term,
# τ² + a² Var[x_m | x_o] = 1/9 + (16/81) 0.45 = 1/5, and a single value in the hole has no variance. **Only a
# distribution of fill-ins gives the distribution of z.** That is the way out, and a circle: x_m from z, z from x_m.

# %%
BLACK, BLUE, RED, GOLD = "black", "#0072B2", "#D55E00", "#B8860B"
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
side = np.linspace(-3, 5, 161)  # 161
pairs = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)  # N, D
left.contour(side, side, np.exp(model.log_likelihood(pairs)).reshape(161, 161), 6, colors="0.65", linewidths=1)
left.axvline(x_o, color=BLUE, lw=1.2, ls=":")
left.plot(x_o + 2.2 * density, axis, color=BLACK, lw=2.2)
left.annotate("p(x_m | x_o = 2):\nN(2.6, 0.45)", (x_o + 0.95, 3.1), (2.6, 4.15), fontsize=10)
left.text(x_o - 0.12, -2.6, "observed", color=BLUE, ha="right", fontsize=10)
left.text(-2.7, -2.35, "p(x_o, x_m)", color="0.35", fontsize=10)
left.set(xlim=(-3, 5), ylim=(-3, 5), xlabel="x_o", ylabel="x_m", title="the answer is a slice of the joint density")
codes = np.linspace(-1, 3.6, 400)  # N


def normal(at, center, spread):
    return np.exp(-((at - center) ** 2) / (2 * spread)) / np.sqrt(2 * np.pi * spread)


right.fill_between(codes, normal(codes, z_mean, z_var), color="0.85")
right.plot(codes, normal(codes, z_mean, z_var), color=BLACK, lw=2.2)
looks = (RED, "--", (-0.2, 1)), (GOLD, "-.", (0.3, 1.23)), (BLUE, ":", (1.6, 1.23))
for (name, (center, spread)), (color, line, place) in zip(read.items(), looks):
    right.plot(codes, normal(codes, center, spread), color=color, ls=line, lw=2)
    right.text(*place, name, color=color, fontsize=10)
right.text(2.3, 0.45, "right:\np(z | x_o)", fontsize=10)
right.set(xlabel="code z", ylabel="density", ylim=(0, 1.45), title="hole filled and encoded: off, and too sure")
fig.savefig(FIGURES / "14_filled_and_encoded.png", dpi=130)

# %% [markdown]
# ## Round the circle: pseudo-Gibbs
# **Gibbs sampling** draws each part of a pair in turn, given the other. Here the pair is (z, x_m), and x_o stays:
#
#     z   ~ p(z | x_o, x_m)      the posterior for the whole x
#     x_m ~ p(x_m | z)           the decoder, then a draw of each pixel, not its mean
#
# Both steps keep p(z, x_m | x_o) as it is, so after many steps the x_m are draws from p(x_m | x_o). We have no
# posterior, but an encoder. **Pseudo-Gibbs** (Rezende et al. 2014, appendix F) puts z ~ q(z | x) in the first line.
#
# Where does it end? On the linear model with an encoder N(a Σ_d (x_d - m_d), τ²) that is paper work. With u = x_m - 1
# one round is u' = a (x_o + u) + τ ε1 + s ε2. At rest u' and u have the same mean M and variance V:
#
#     M = a (x_o + M)           M = a x_o / (1 - a)
#     V = a² V + τ² + s²        V = (τ² + s²) / (1 - a²)
#
# With the posterior's a = 4/9, τ² = 1/9: M = 1.6 and V = .45, as it must be. An encoder that is off, a = 1/4, τ = .6:
# M = 2/3 and V = .651. There the two lines are conditionals of no common joint, and the chain rests where the formula
# says, wherever that is. More steps do not help: it *has* arrived.

# %%
ENCODERS = {"posterior": (a, tau), "too wide": (0.25, 0.6), "too narrow": (0.25, 0.2)}  # a, τ
rest = {name: (m[1] + k * x_o / (1 - k), (t**2 + s**2) / (1 - k**2)) for name, (k, t) in ENCODERS.items()}
assert np.allclose(rest["posterior"], (mean, var), rtol=0, atol=1e-9)
assert np.allclose(rest["too wide"], (1 + 2 / 3, 0.61 / 0.9375), rtol=0, atol=1e-9)

# %% [markdown]
# ## Ask before you move: Metropolis within Gibbs
# Keep the encoder, but only as one who *proposes*. The first line has to leave p(z | x), x = (x_o, x_m), as it is. A
# move from z to z' does so if as much flows from z to z' as back, **detailed balance**. Propose z' ~ q(z' | x), which
# does not look at z, and take it with probability A(z → z'); else keep z:
#
#     p(z | x) q(z' | x) A(z → z') = p(z' | x) q(z | x) A(z' → z)                 the balance
#     A(z → z') / A(z' → z) = p(z' | x) q(z | x) / (p(z | x) q(z' | x))           divided
#                           = p(x | z') p(z') q(z | x) / (p(x | z) p(z) q(z' | x))     p(z | x) = p(x | z) p(z) / p(x)
#                           = w(z') / w(z)           with lesson 02's weight w(z) = p(x | z) p(z) / q(z | x)
#     A(z → z') = min(1, w(z') / w(z))               has this quotient: one of the two A is 1, the other the ratio
#
# p(x), the dear one, has cancelled. What is left costs one pass of the decoder. In logarithms: take z' if log of a
# uniform number is below log w(z') - log w(z). If q is the posterior, w = p(x) for every z, and all are taken: Gibbs
# sampling again. Where q proposes a region too often, w is small, and moves there are refused. Then x_m ~ p(x_m | z) as
# before. That changes x, so **w(z) has to be computed anew in every step**: the last step's belongs to another x.
#
# **Predict before you run:** the encoder "too wide" has a wrong slope and a wrong variance. So does "too narrow", by
# τ = .2 where 1/3 is right. After 40 steps, which of the chains are right?

# %%
S, STEPS, LOOKS = 20_000, 200, (1, 2, 3, 5, 8, 12, 20, 40, 70, 100, 150, 200)


def log_weight(z, x, k, t):
    """log p(x | z) + log p(z) - log q(z | x), (S,), without constants. z (S,), x (S,): x_m."""
    off = z - k * (x_o - m[0] + x - m[1])  # S
    return -((x_o - m[0] - z) ** 2 + (x - m[1] - z) ** 2) / (2 * s**2) - z**2 / 2 + off**2 / (2 * t**2)


def run(k, t, metropolis, seed=0):
    """S chains side by side: {step: x_m (S,)} at LOOKS, and the share of proposals that were taken."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(S)  # S: a draw from the model that ignores x_o
    x, seen, taken = m[1] + z + s * rng.standard_normal(S), {}, 0.0
    for step in range(1, STEPS + 1):
        proposed = k * (x_o - m[0] + x - m[1]) + t * rng.standard_normal(S)  # S
        ratio = log_weight(proposed, x, k, t) - log_weight(z, x, k, t)  # S
        take = (np.log(rng.random(S)) < ratio) | (not metropolis)  # S
        z, taken = np.where(take, proposed, z), taken + take.mean() / STEPS
        x = m[1] + z + s * rng.standard_normal(S)  # S
        if step in LOOKS:
            seen[step] = x
    return seen, taken


chains = {(name, way): run(k, t, way) for name, (k, t) in ENCODERS.items() for way in (False, True)}
print(f"{'encoder':10}  {'way':13}  taken   mean after 40        after 200            variance after 200")
for (name, way), (seen, taken) in chains.items():
    errors = [seen[step].std() / np.sqrt(S) for step in (40, 200)]
    v = ((seen[200] - seen[200].mean()) ** 2).std() / np.sqrt(S)
    parts = [f"{seen[step].mean():.3f} ± {error:.3f}" for step, error in zip((40, 200), errors)]
    label = "Metropolis" if way else "pseudo-Gibbs"
    print(f"{name:10}  {label:13}  {taken:4.0%}    {parts[0]}        {parts[1]}        {seen[200].var():.3f} ± {v:.3f}")
    goal = (mean, var) if way else rest[name]
    if (name, way) != ("too narrow", True):
        assert abs(seen[200].mean() - goal[0]) < 5 * errors[1] and abs(seen[200].var() - goal[1]) < 5 * v
lag = mean - chains["too narrow", True][0][200].mean()
assert chains["posterior", True][1] > 1 - 1e-9 and 0.28 < chains["too wide", True][1] < 0.34 and lag > 0.5

# %% [markdown]
# (± is one standard error over 20,000 chains.) With "too wide" seven of ten proposals are refused, and the answer is
# right: 2.6 and 0.45, where pseudo-Gibbs with the *same* encoder rests at 1.67 and 0.65. With "too narrow" it is not
# right after 200 steps, nor near. It is no contradiction. The rule is right in the limit; how soon is another matter. A
# narrow q's tails die out faster than the posterior's, w grows without bound away from q's centre, and a chain there
# refuses nearly everything. **A proposal should err on the wide side**; an ELBO's q errs on the narrow one (lesson 03).
# One look cannot tell a stuck chain from one that has arrived: run twice as long, and see whether the mean stays. The
# start helps, too: `tv.evaluate.impute` does all this for any model, and its first tenth of the steps takes every z'.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=(1.3, 1))
LINES = {
    ("too wide", False): (RED, "--", "s", "pseudo-Gibbs, too wide", 1.73),
    ("too wide", True): (BLUE, "-", "o", "Metropolis, too wide", 2.42),
    ("too narrow", True): (GOLD, "-.", "^", "Metropolis, too narrow", 1.3),
}
for key, (color, line, mark, label, height) in LINES.items():
    path = [chains[key][0][step].mean() for step in LOOKS]
    left.plot(LOOKS, path, color=color, ls=line, marker=mark, ms=4, lw=2)
    left.text(14, height, label, color=color, fontsize=10)
left.axhline(mean, color=BLACK, lw=1.2)
left.text(1, mean + 0.03, "exact: 2.6", fontsize=10)
left.axhline(rest["too wide"][0], color="0.5", lw=1, ls=":")
left.set(xscale="log", xlabel="steps", ylabel="mean of x_m over 20,000 chains", ylim=(1.1, 2.8))
left.set_xticks((1, 10, 100), ("1", "10", "100"))
left.set_title("one encoder, two ends: asking corrects it")
bins = np.linspace(-1, 5.5, 66)
for key in (("too wide", False), ("too wide", True)):
    color, line, *_ = LINES[key]
    right.hist(chains[key][0][200], bins, density=True, histtype="step", color=color, ls=line, lw=1.8)
right.plot(axis, density, color=BLACK, lw=1.2)
right.text(3.35, 0.45, "Metropolis, on the\nexact density (black)", color=BLUE, fontsize=9.5)
right.text(-0.95, 0.4, "pseudo-\nGibbs", color=RED, fontsize=9.5)
right.set(xlim=(-1, 5.5), ylim=(0, 0.68), xlabel="x_m after 200 steps", ylabel="density", title="and not the mean only")
fig.savefig(FIGURES / "14_chains.png", dpi=130)

# %% [markdown]
# ## Digits without their lower half
# Digits of black and white pixels, as in lesson 07, K = 10, three seeds. Of 120 test images the lower 32 pixels are
# taken away, and 40 draws are made of each. The error is the squared distance to the true lower half. It has a law. For
# draws x^s with mean x̄, and the truth x,
#
#     1/S Σ_s |x^s - x|² = |x̄ - x|² + 1/S Σ_s |x^s - x̄|²         one draw's error = the mean's + the draws' variance
#
# **Predict before you run:** if the model is right, the truth is itself a draw from p(x_m | x_o), no different from the
# model's. How much larger is one draw's error than the mean's, then?

# %%
rng = np.random.default_rng(0)
digits = tv.datasets.load("digits")
train, test = (tv.datasets.binarize(part, rng).astype("float32") for part in (digits.train, digits.test[:120]))
SEEDS, LOWER, average = range(3), slice(32, 64), train.mean(axis=0)
truth = test[:, LOWER].astype("float64")  # B, 32
holes = np.where(np.arange(64) < 32, test, np.float32(np.nan))  # B, D: NaN marks what is missing


def distance(filled):
    """The squared distance to the true lower half, over the last axis."""
    return ((filled - truth) ** 2).sum(axis=-1)


def edges(p):
    """Pairs of unlike neighbours, side by side or above each other, where each pixel is a coin of probability p."""
    p = p.reshape(*p.shape[:-1], 4, 8)
    pairs = (p[..., 1:, :], p[..., :-1, :]), (p[..., 1:], p[..., :-1])
    return sum((one * (1 - two) + two * (1 - one)).sum(axis=(-1, -2)) for one, two in pairs)


rows = []
for seed in SEEDS:
    vae = tv.VAE(n_features=64, n_latents=10, hidden=(50,), seed=seed)
    for _ in tv.train(vae, train, optimizer=tv.Adam(1e-2), epochs=60, batch_size=100, seed=seed):
        pass
    row = {}
    for name, fill in (("zeros", np.zeros(32)), ("mean image", average[LOWER])):
        whole = np.hstack([test[:, :32], np.tile(np.float32(fill), (120, 1))])  # B, D
        encoded = vae.encoder.propagate(whole)[0][:, :10]  # B, K: greys are no bits, hence not vae.encode
        row[f"{name} in the hole, encoded"] = distance(vae.decode(np.ascontiguousarray(encoded)).mean[:, LOWER])
    row["the mean image, not encoded"] = distance(average[LOWER])
    for name, n_steps in (("pseudo-Gibbs", 100), ("after 50 steps", 50), ("Metropolis", 100)):
        method = "pseudo_gibbs" if name == "pseudo-Gibbs" else "metropolis_within_gibbs"
        drawn = tv.evaluate.impute(vae, holes, 40, np.random.default_rng(1), n_steps, method)  # S, B, D
        half = drawn[:, :, LOWER].astype("float64")  # S, B, 32
        row[f"mean of 40, {name}"] = distance(half.mean(axis=0))
    row["one draw"], row["variance"] = distance(half).mean(axis=0), half.var(axis=0).sum(axis=-1)  # of Metropolis
    assert np.allclose(row["one draw"], row["mean of 40, Metropolis"] + row["variance"], rtol=0, atol=1e-9)
    row["a digit's edges"], row["a draw's edges"] = edges(truth), edges(half).mean(axis=0)
    row["edges of coins"] = edges(half.mean(axis=0))
    rows.append(row)
found = {name: np.mean([row[name] for row in rows], axis=0) for name in rows[0]}  # 120 each
for name, values in found.items():
    over = " ".join(f"{row[name].mean():5.2f}" for row in rows)
    print(f"{name:34} {values.mean():5.2f} ± {values.std() / np.sqrt(120):.2f}   by seed: {over}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=(1, 1.35))
shown = found["variance"].argsort()[[0, 50, 90, 112, 119]]  # from sure to unsure
filled = test[shown].copy()  # 5, D: the last seed's
filled[:, LOWER] = half.mean(axis=0)[shown]
pictures = np.stack([holes[shown], test[shown], filled, *drawn[:4, shown]]).reshape(7, 5, 8, 8)
colors = plt.get_cmap("gray").with_extremes(bad="#E69F00")
framed = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.5)  # 7, 5, 10, 10
left.imshow(framed.swapaxes(1, 2).reshape(70, 50), cmap=colors, vmin=0, vmax=1)
left.set_yticks(np.arange(7) * 10 + 4.5, ["as it came", "truth", "mean of 40", *(f"draw {i}" for i in range(1, 5))])
left.set(xticks=(), xlabel="sure  →  unsure", title="a mean is grey; draws take sides")
NAMES = ["one draw", "zeros in the hole, encoded", "the mean image, not encoded", "mean of 40, pseudo-Gibbs"]
NAMES += ["mean image in the hole, encoded", "mean of 40, Metropolis"]
heights, errors = [[number(found[name]) for name in NAMES] for number in (np.mean, lambda v: v.std() / np.sqrt(120))]
labels, tints = [name.replace(", ", ",\n") for name in NAMES], ["0.35", *["0.75"] * 4, BLUE]
right.barh(labels, heights, xerr=1.96 * np.array(errors), color=tints, capsize=3)
for i, height in enumerate(heights):
    right.text(height + 0.35, i, f"{height:.2f}", va="center", fontsize=10)
endless = found["mean of 40, Metropolis"] - found["variance"] / 39  # 120
right.axvline(2 * endless.mean(), color=RED, lw=1.2, ls="--")
right.text(2 * endless.mean() - 0.1, 2.7, "twice the error\nof the mean of\nendless draws", color=RED, ha="right")
right.set(xlabel="squared error of the lower half", xlim=(0, 10), title="the mean errs least, a draw twice that")
fig.savefig(FIGURES / "14_digits.png", dpi=130)

# %% [markdown]
# The mean of 40 draws errs least, 4.24, or 4.30 after half the steps; the mean image, which does not look at the upper
# half, 4.71. Between them are the mean image encoded, 4.43, and pseudo-Gibbs, 4.45: each gives away some two fifths of
# what looking brings. Zeros are no better than not to look. The mean of 40 still has a fortieth of the draws' variance
# in its error; without it, 4.14. One draw's is 8.32, **twice** that: truth and draw are two draws of about the same
# distribution, each as far from its mean as the other.
#
# So by squared error a draw is worse than one grey picture for all digits. That is a fact about squared error, which
# asks for the mean and nothing else. Is the mean an image? Throw a coin for each of its pixels, and 17.2 pairs of
# neighbours differ; in a draw 15.5 do, in the digits 14.8. The mean has lost which pixels go together. Want one number
# with the least error: average. Want to know what may have been there: look at several draws.
#
# **Believed before:** to fill in, encode what there is, decode, done. **Believe now:** the answer is a distribution; a
# chain draws from it, and asking before each move makes up for a bad encoder, in time. **The number that changed it:**
# the same encoder, 1.67 without the question and 2.60 with it, where 2.6 is right.
#
# **Sources:** Rezende, Mohamed & Wierstra 2014, appendix F (pseudo-Gibbs); Mattei & Frellsen 2018, algorithm 1
# (Metropolis within Gibbs); Tipping & Bishop 1999, section 3 (the linear model).
#
# **Exercises:** `tinyvae exercise 14`: 1. `conditional_gaussian`, holes anywhere; 2. `log_acceptance`, for any linear
# model; 3. `error_of_endless_draws`, from a few.

# %%
gains = {name: found[name] - found["mean of 40, Metropolis"] for name in NAMES[1:5]}  # 120 each, of the same images
assert all(gain.mean() > 2 * gain.std() / np.sqrt(120) for gain in gains.values())
off, ratio = found["one draw"] - 2 * endless, found["one draw"].mean() / endless.mean()  # 120; a number
assert np.allclose(heights, (8.32, 4.84, 4.71, 4.45, 4.43, 4.24), rtol=0, atol=0.25)
assert abs(off.mean()) < 5 * off.std() / np.sqrt(120) and abs(ratio - 2) < 0.15
assert abs(found["mean of 40, after 50 steps"].mean() - found["mean of 40, Metropolis"].mean()) < 0.15
assert found["edges of coins"].mean() - 1 > found["a draw's edges"].mean() > found["a digit's edges"].mean()
ends = " and ".join(f"{chains['too wide', way][0][200].mean():.2f}" for way in (False, True))
print(f"Headline: without and with the question {ends}, right is 2.60; a draw errs {ratio:.2f} times the mean")
