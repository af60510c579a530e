"""What should the decoder say about a pixel?

Question: sum or mean over pixels, squares or cross-entropy, a fixed variance or a learnt one: what does each one claim?
"""

# %% [markdown]
# **Needs:** lessons 01 (a direction can be given up), 02 (the bound), 03 (the KL); about 15 minutes.
#
# A VAE's loss is E_q[-log p(x | z)] + KL, in nats. The first term is often written as whatever is at hand: a sum of
# squares, a mean of squares, a root, a cross-entropy. Each is a claim about how far a pixel may lie from what the
# decoder says. The KL is in nats whatever we take, so the claim decides how much the code is worth.
#
# A **likelihood** is what the decoder says of a pixel, given z: a distribution of x. A **density** is a function of x,
# nowhere negative, whose integral over all x is 1. D = 64 is the number of pixels, K = 10 the dimension of
# the code, v the variance of a Gaussian pixel, in squared units of grey (black 0, white 1).

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import likelihoods as says

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
digits = tv.datasets.load("digits")
train, test = digits.train.astype("float64"), digits.test.astype("float64")  # 1437, D; 360, D
D, K = train.shape[1], 10
rng = np.random.default_rng(0)


def loss_of(likelihood, outputs, x):
    """-log p(x | outputs), or the loss that stands for it, of each row: (n,)."""
    losses = np.empty(len(x))  # n
    likelihood.loss(outputs, x, losses)
    return losses


# %% [markdown]
# ## The sum of squares is a Gaussian of variance 1/2
#
#     -log N(x; m, v I) = Σ_d (x_d - m_d)² / 2v + D/2 log 2πv        v = 1/2:  Σ_d (x_d - m_d)² + D/2 log π
#
# So whoever writes "squared error + KL" has chosen: a pixel lies 0.71 from what the decoder says, give or take. But a
# pixel in [0, 1] has a standard deviation of at most 0.5: no code at all would do better than that.
#
# ## The mean of squares is beta = D
# Frameworks average by default. Divide the first term by D, leave the KL, and multiply the whole by D:
#
#     D · (1/D Σ_d (x_d - m_d)² + KL) = Σ_d (x_d - m_d)² + D · KL
#
# That *is* the objective with beta = D, the weight of the KL. A likelihood of one's own shows it.


# %%
class MeanSquaredError(says.SquaredError):
    """The squared error, divided by the number of pixels; losses and slopes are written in place."""

    name = "mean squared error"

    @staticmethod
    def loss(outputs, x, losses):
        says.SquaredError.loss(outputs, x, losses)
        losses /= x.shape[1]

    @staticmethod
    def loss_and_slope(outputs, x, losses):
        says.SquaredError.loss_and_slope(outputs, x, losses)
        losses /= x.shape[1]
        outputs /= x.shape[1]


def gradient(likelihood, beta, seed):
    """The gradient for all weights of a network before training, in float64, (P,)."""
    vae = tv.VAE(D, K, hidden=(50,), likelihood=likelihood, dtype="float64", seed=seed)
    eps = np.random.default_rng(seed).standard_normal((1, 100, K))  # S, B, K
    return vae.loss_and_grads(train[:100], eps, objective=tv.ELBO(beta=beta))[1]


rounding = []
for seed in range(5):
    of_mean, of_beta = gradient(MeanSquaredError, 1, seed), gradient(says.SquaredError, D, seed)  # P; P
    rounding.append(np.abs(D * of_mean - of_beta).max() / np.abs(of_beta).max())
print(f"D times the gradient of mean + KL against that of sum + D KL: they differ by {max(rounding):.0e} of it at most")
outputs = rng.normal(size=(200, D))  # n, D
gap = loss_of(says.Gaussian(variance=0.5), outputs, test[:200]) - loss_of(says.SquaredError, outputs, test[:200])  # n
print(f"Gaussian of variance 1/2 minus the sum of squares: {gap.mean():.6f}, D/2 log π = {D / 2 * np.log(np.pi):.6f}")

# %% [markdown]
# ## What a code must save
# The gradients agree to the last bit, as 64 is a power of two. Dividing a loss by beta leaves its minimum in place, so
#
#     beta and v together act as one variance, beta · v:     sum: 1/2      mean: D/2 = 32
#
# For linear networks lesson 01 found what survives: a direction of the data whose variance is above v; each of those
# costs 1/2 log(variance / v) nats of KL, the others nothing. The digits' largest is 0.70.
#
# **Predict before you run:** how many directions does the sum of squares keep? How many the mean? And is the mean's
# collapse a matter of these digits, of 64 pixels, of a weak decoder?
#
# It is none of these. Let x lie in [0, 1]^D; q(x | z) are the images that the encoder gives the code z, and the best a
# decoder can say is their mean. It saves its squared distance from the mean of all x. Along the line from the one to
# the other the D-cube is at most √D long, and what has a range of √D moves its mean by at most √D · √(k/2) when its
# distribution changes by a KL of k (Pinsker's inequality). So
#
#     what the code saves  ≤  D/2 · E_z[KL(q(x | z) || p(x))]  =  D/2 · (mutual information of x and z)  ≤  D/2 · KL
#
# Divided by D: with the mean of squares, **a code saves at most half of what it costs**, for all data in [0, 1], every
# D, every decoder. To ignore the code is no failure of training here, it is the minimum. Images all black or all white
# come close: if z makes white 1/2 ± d likely, it saves d² for 2d² nats or little more; a whole bit, 0.693, saves 1/4.


# %%
def trained(likelihood, seed, beta=1.0):
    """A VAE after 60 epochs, the KL of the held-out images, nats, and the squared error of their copies."""
    vae = tv.VAE(D, K, hidden=(50,), likelihood=likelihood, seed=seed)
    settings = {"epochs": 60, "batch_size": 100, "seed": seed, "optimizer": tv.Adam(3e-3)}
    list(tv.train(vae, digits.train, objective=tv.ELBO(beta=beta), **settings))
    return vae, vae.encode(digits.test).kl().mean(), ((test - vae.reconstruct(digits.test)) ** 2).sum(axis=1).mean()


variances = np.linalg.eigvalsh(np.cov(train.T, bias=True))[::-1]  # D, of the principal directions, largest first


def linear_kl(v):
    """The KL that the best linear VAE pays at variance v, nats, and how many directions it keeps."""
    kept = variances[:K][variances[:K] > v]
    return 0.5 * np.log(kept / v).sum(), len(kept)


SEEDS = range(2)
GRID = (0.01, 0.03, 0.1, 0.25)
runs = {(v, seed): trained(says.Gaussian(variance=v), seed) for v in GRID for seed in SEEDS}
runs |= {(0.5, seed): trained(says.SquaredError, seed) for seed in SEEDS}
runs |= {(32.0, seed): trained(MeanSquaredError, seed) for seed in SEEDS}
learnt = {seed: trained(says.Gaussian(variance="isotropic"), seed) for seed in SEEDS}
learnt_v = {seed: float(np.exp(vae.own["logvar"][0])) for seed, (vae, *_) in learnt.items()}
twin = trained(says.SquaredError, 0, beta=D)
mean_image = ((test - train.mean(axis=0)) ** 2).sum(axis=1).mean()
for v in (*GRID, 0.5, 32.0):
    found = [runs[v, seed][1:] for seed in SEEDS]
    kl, n_kept = linear_kl(v)
    each = ", ".join(f"{kl:.4f} (error {error:.2f})" for kl, error in found)
    print(f"beta v = {v:5}: KL {each}; linear: {kl:.3f}, directions kept {n_kept}")
print("learnt v:", ", ".join(f"{learnt_v[seed]:.4f}, KL {learnt[seed][1]:.2f}" for seed in SEEDS))
print(f"The mean image alone: error {mean_image:.2f}. Sum + 64 KL ends at KL {twin[1]:.4f}, error {twin[2]:.2f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained", width_ratios=(1, 1.1))
line = np.geomspace(0.008, 60, 300)
axes[0].plot(line, [linear_kl(v)[0] for v in line], color="0.45", lw=2, label="linear networks, by formula")
dots = zip(*[(v, kl) for (v, _), (_, kl, _) in runs.items()])
axes[0].plot(*dots, "o", color="#882255", ms=7, label="trained networks, two seeds")
axes[0].plot(list(learnt_v.values()), [kl for _, kl, _ in learnt.values()], "*", color="#7A5C00", ms=13)
axes[0].text(0.03, learnt[0][1] + 0.4, "v learnt", fontsize=11)
axes[0].annotate("sum of squares\n= 1/2", (0.5, 0.5), (0.45, 6), arrowprops={"arrowstyle": "->"}, fontsize=11)
axes[0].annotate("mean of squares\n= D/2", (32, 0.2), (4, 2.5), arrowprops={"arrowstyle": "->"}, fontsize=11)
axes[0].set(xscale="log", xlabel="beta · v, what one pixel's error is measured by (grey²)", ylabel="KL paid, nats")
axes[0].legend(frameon=False)
axes[0].set_title("Averaging over pixels switches the code off")
shown = [int(np.flatnonzero(digits.test_labels == label)[0]) for label in (0, 1, 3, 4, 6)]
rows = {"x": test[shown], f"v = {learnt_v[0]:.3f}\n(learnt)": learnt[0][0].reconstruct(digits.test[shown])}
for word, v in (("v = 1/2\n(sum)", 0.5), ("v = 32\n(mean)", 32.0)):
    rows[word] = runs[v, 0][0].reconstruct(digits.test[shown])
tiles = [np.hstack([np.pad(np.reshape(image, (8, 8)), 1) for image in row]) for row in rows.values()]
axes[1].imshow(np.vstack(tiles), cmap="gray", vmin=0, vmax=1)
axes[1].set_yticks([4.5, 14.5, 24.5, 34.5], list(rows), fontsize=11)
axes[1].set(xticks=[], title="The same network, another claim about noise")
fig.savefig(FIGURES / "12_collapse.png", dpi=130)

# %% [markdown]
# The formula for linear networks says nearly what the trained ones pay. The sum of squares keeps three directions and
# 0.3 nats: not even half a bit for a digit. The mean keeps nothing, and its copies are the mean image. Sum + 64 KL
# ends at the same place: Adam divides the factor D out again. A learnt v asks for no choice: at its best it is the
# mean squared error under q, and the code pays some 13 nats. "Mean or sum" is no matter of units.
#
# ## A root moves the minimum
# One pixel, three images, values 0, 0, 1, no code: the decoder says one number m. Which m is best?
#
#     mean of (x - m)²:                slope 2m - 2/3                       m = 1/3, the mean
#     mean of √((x - m)²) = |x - m|:   slope 1/3 on (0, 1)                  m = 0, the median
#     mean of -log m^x (1-m)^(1-x):    slope (m - 1/3) / (m (1 - m))        m = 1/3, the mean
#
# A root for each image makes a distance of a squared distance, and its minimum a median: over many pixels, the
# "spatial median". A root of the average over all images moves no minimum of that average, but it weighs it against the
# KL by a factor that changes as the error falls.

# %%
values = np.array([0.0, 0.0, 1.0])  # three images of one pixel
m = np.linspace(0.0005, 0.9995, 2000)  # n, what the decoder says; 1/3 and the end points lie between two of them
squared = ((values - m[:, None]) ** 2).mean(axis=1)  # n
rooted = np.sqrt((values - m[:, None]) ** 2).mean(axis=1)  # n
logits = np.log(m / (1 - m))[:, None]  # n, 1
entropy = np.mean([loss_of(says.Bernoulli, logits, np.full_like(logits, x)) for x in values], axis=0)  # n
CURVES = {"squared": squared, "with a root": rooted, "cross-entropy": entropy}
minima = {name: m[curve.argmin()] for name, curve in CURVES.items()}
print("Least at m =", ", ".join(f"{at:.3f} ({name})" for name, at in minima.items()))

# %% [markdown]
# ## Cross-entropy on grey levels: the right minimum, and no density
# The slope above is linear in x, so its minimum is the mean for any grey x, not for bits alone. As a way to find means
# the cross-entropy is right. But is m^x (1 - m)^(1 - x) a density of x in [0, 1]? Write l = log(m / (1 - m)):
#
#     ∫_0^1 m^x (1 - m)^(1 - x) dx = (1 - m) ∫_0^1 e^{l x} dx = (2m - 1) / l        at most 1/2, its value at m = 1/2
#
# Half of all probability is missing, at least. It would not matter, were that a constant; it depends on m. The
# **continuous Bernoulli** divides by it. Then m is no longer the mean: the mean is 1 / (1 - e^-l) - 1 / l.

# %%
nodes, weights = np.polynomial.legendre.leggauss(60)
nodes, weights = ((nodes + 1) / 2)[:, None], weights / 2  # n, 1; n: quadrature on [0, 1]


def mass(likelihood, logit):
    """The integrals of e^-loss and of x e^-loss over x in [0, 1]."""
    height = np.exp(-loss_of(likelihood, np.full_like(nodes, logit), nodes))  # n
    return weights @ height, weights @ (nodes[:, 0] * height)


own_logit = float(says.ContinuousBernoulli.start(values[:, None])[0])  # for the mean 1/3
own_m = 1 / (1 + np.exp(-own_logit))
own_mass, own_mean = mass(says.ContinuousBernoulli, own_logit)
masses = {at: mass(says.Bernoulli, np.log(at / (1 - at)))[0] for at in (0.001, 0.1, 1 / 3, 0.4999)}
print("Mass of e^-cross-entropy:", ", ".join(f"{value:.4f} at m = {at:.3g}" for at, value in masses.items()))
print(f"Continuous Bernoulli of mean 1/3: m = {own_m:.4f}, mass {own_mass:.6f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
LOOKS = {"squared": ("black", "-", 0.8, 0.49), "with a root": ("#882255", "--", 0.79, 0.665)}
LOOKS["cross-entropy"] = "#7A5C00", "-.", 0.63, 0.92
for name, curve in CURVES.items():
    color, dash, *where = LOOKS[name]
    axes[0].plot(m, curve, color=color, ls=dash, lw=2)
    axes[0].plot(minima[name], curve.min(), "o", color=color, ms=9, clip_on=False, zorder=3)
    axes[0].text(*where, name, color=color, fontsize=11, ha="right")
axes[0].axvline(1 / 3, color="0.6", lw=1)
axes[0].text(1 / 3 + 0.01, 0.03, "mean 1/3", fontsize=11)
axes[0].text(0.02, 0.43, "median 0", fontsize=11, color="#882255")
axes[0].set(ylim=(0, 1.2), xlim=(0, 1), xlabel="m, what the decoder says of the pixel", ylabel="mean loss of 0, 0, 1")
axes[0].set_title("Only the root moves the minimum")
x = np.linspace(0, 1, 200)[:, None]  # n, 1
for likelihood, logit, color, dash, label in (
    (says.Bernoulli, np.log(0.5), "#7A5C00", "-.", f"cross-entropy: area {masses[1 / 3]:.2f}"),
    (says.ContinuousBernoulli, own_logit, "#332288", "-", "continuous Bernoulli: area 1.00"),
):
    height = np.exp(-loss_of(likelihood, np.full_like(x, logit), x))  # n
    axes[1].plot(x[:, 0], height, color=color, ls=dash, lw=2, label=label)
    axes[1].fill_between(x[:, 0], height, color=color, alpha=0.2, lw=0)
axes[1].set(xlim=(0, 1), ylim=(0, 2.8), xlabel="x, a grey level", ylabel="e to the minus loss, mean 1/3")
axes[1].set_title("Cross-entropy lacks more than half of the probability")
axes[1].legend(frameon=False, fontsize=11)
fig.savefig(FIGURES / "12_one_pixel.png", dpi=130)

# %% [markdown]
# ## A learnt variance can run away
# A learnt v ends at the mean squared error, and there -log p of a pixel is 1/2 log 2πe v: below zero once v is small,
# and without end as v goes to 0. That is no bug: a density may be large. But a pixel of a file is known only to its
# grey level. Three of the digits' pixels are black in all images, training and held out; each divides v by ten and wins
# 1/2 log 10 = 1.15 nats, for ever, and teaches nobody anything. Training stops that at a number called the **floor**:
# v = floor + what is learnt. The score then says what the floor is.
#
# **Predict before you run:** fit each pixel's mean and variance to the training images, no code, and lower the floor.
# The training images' loss falls. What do the held-out ones do?
#
# Two ways out. The **categorical** gives each level a probability, at most 1, so its loss is at least 0. Or add noise
# as wide as a level, 1/16, to the data (dequantization): then no pixel is constant, and v is at least (1/16)² / 12.
# Minus the mean log-density, plus D log 16, is then at least what the levels' probabilities under it cost.

# %%
noisy = [x + rng.uniform(-1 / 32, 1 / 32, x.shape) for x in (train, test)]  # 1437, D; 360, D
floors = np.geomspace(1e-14, 1e-1, 53)


def without_code(fitted, x, floor):
    """Nats an image of x (n, D) under a Gaussian a pixel, fitted to other images."""
    v = floor + fitted.var(axis=0)  # D
    return 0.5 * ((x - fitted.mean(axis=0)) ** 2 / v + np.log(2 * np.pi * v)).sum(axis=1).mean()


falls = np.array([[without_code(train, x, floor) for x in (train, test)] for floor in floors])  # floors, 2
flat = np.array([[without_code(noisy[0], x, floor) for x in noisy] for floor in floors])  # floors, 2
constant = (train.var(axis=0) == 0).sum()
per_decade = (falls[8, 0] - falls[0, 0]) / np.log10(floors[8] / floors[0])
levels = loss_of(says.Categorical(), np.tile(says.Categorical().start(train), (len(test), 1)), test)  # n
print(f"{constant} constant pixels; training loss falls by {per_decade:.2f} nats a decade of the floor at the left end")
for i in (0, 24, 36, 44, 52):
    print(f"floor {floors[i]:.0e}: train {falls[i, 0]:.1f}, held out {falls[i, 1]:.1f}; noisy {flat[i, 1]:.1f}")
print(f"Categorical, held out: {levels.mean():.1f} nats, as a density {levels.mean() - D * np.log(16):.1f}")

# %%
fig, ax = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
for curve, color, dash, label in (
    (falls[:, 0], "#882255", "-", "training images"),
    (falls[:, 1], "#882255", "--", "held-out images"),
    (flat[:, 1], "#332288", "-", "held out, with noise as wide as a grey level"),
):
    ax.plot(floors, curve, color=color, ls=dash, lw=2, label=label)
ax.axhline(levels.mean() - D * np.log(16), color="black", ls=":", label="held out, a probability for each level")
ax.set(xscale="log", ylim=(-90, 35), xlabel="floor of the variance, grey²", ylabel="-log density, nats an image")
ax.axvspan(floors[0], 1 / (12 * 16**2), color="0.92", zorder=0)
ax.text(1.6e-14, -86, "finer than a grey level is known", fontsize=11)
ax.set_title("A density of grey levels says what the floor is")
ax.legend(frameon=False, loc="upper left")
fig.savefig(FIGURES / "12_runaway.png", dpi=130)

# %% [markdown]
# Both losses fall. It is not overfitting, so no held-out images warn of it: with a floor of 1e-12 the black pixels,
# "known" to a millionth, let the Gaussian pass the categorical. With noise as wide as a level the curve stops. Where a
# decoder puts out a variance for each pixel of each image, whatever it copies well can run away; in a black pixel the
# continuous Bernoulli can, too, though slowly, as log |l|. A categorical cannot. Compare densities at one floor only.
#
# **Believed before:** the reconstruction loss is a matter of taste: sum or mean, a root or not, and the variance drops
# out. **Believe now:** it is a claim about noise. Averaging over pixels multiplies the claimed variance by D, and for
# pixels in [0, 1] no code can earn what it costs then. A root asks for another value. The cross-entropy finds means,
# but is no density of greys. And a density is as good as its floor is low.
# **The number that changed it:** the same network pays 13 nats with a learnt v, 0.3 with the sum of squares and 0.001
# with the mean of squares.
#
# **Sources:** Higgins et al. 2017 (beta-VAE); Rybkin, Daniilidis & Levine 2021 (learnt variance); Lucas et al. 2019
# (collapse in linear VAEs); Loaiza-Ganem & Cunningham 2019 (continuous Bernoulli); Mattei & Frellsen 2018 (unbounded
# likelihoods); Theis, van den Oord & Bethge 2016 (densities and levels).
#
# **Exercises:** `tinyvae exercise 12`
#
# 1. `beta_of_a_loss`: the beta that any weights of squares and KL stand for, with a Gaussian of variance v.
# 2. `continuous_bernoulli`: loss and slope from logits, at l = 0 and at l = 500, too.
# 3. `best_floored_variance`: the best variances that are not below a floor, and what they cost.

# %%
assert max(rounding) < 1e-9 and np.abs(gap - D / 2 * np.log(np.pi)).max() < 1e-9
assert [linear_kl(v)[1] for v in (0.5, 32)] == [3, 0] and variances.sum() < D / 4  # 1/4 a pixel is the most in [0, 1]
for seed in SEEDS:
    assert 0.25 < runs[0.5, seed][1] < 0.4 and runs[32.0, seed][1] < 0.003 and 11.5 < learnt[seed][1] < 14.5
    assert abs(runs[32.0, seed][2] - mean_image) < 0.05 and 0.015 < learnt_v[seed] < 0.03
    assert all(abs(runs[v, seed][1] / linear_kl(v)[0] - 1) < 0.2 for v in (*GRID, 0.5))
assert abs(twin[1] - runs[32.0, 0][1]) < 1e-3 and abs(twin[2] - runs[32.0, 0][2]) < 0.02
d = np.linspace(0.01, 0.49, 49)  # n: 1/4 at d = 1/2
coin = np.log(2) + (0.5 + d) * np.log(0.5 + d) + (0.5 - d) * np.log(0.5 - d)  # n, the KL in nats
assert (coin > 2 * d**2).all() and abs(coin[0] / 1e-4 - 2) < 1e-3 and minima["with a root"] == m[0]
assert max(abs(minima["squared"] - 1 / 3), abs(minima["cross-entropy"] - 1 / 3)) < 1e-3
assert all(abs(area - (2 * at - 1) / np.log(at / (1 - at))) < 1e-9 and area < 0.5 for at, area in masses.items())
assert abs(own_mean - 1 / 3) < 1e-9 and abs(own_mass - 1) < 1e-9
assert constant == 3 and (test[:, train.var(axis=0) == 0] == 0).all() and abs(per_decade - 1.5 * np.log(10)) < 0.01
assert (np.diff(falls, axis=0) > 0).all() and np.ptp(flat[:40], axis=0).max() < 0.5
assert falls[0, 1] < levels.mean() - D * np.log(16) < flat[0, 1] and levels.min() >= 0
of_seeds = [(learnt[seed][1], runs[0.5, seed][1], runs[32.0, seed][1]) for seed in SEEDS]  # seeds, 3
words = "{:.1f} with v learnt, {:.2f} with the sum, {:.3f} with the mean".format(*np.mean(of_seeds, axis=0))
print(f"Headline: KL in nats: {words} of squares; a root moves {minima['squared']:.2f} to {minima['with a root']:.2f}.")
