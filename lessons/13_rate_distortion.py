"""Rate and distortion

Question: what does beta buy?
"""

# %% [markdown]
# **Needs:** the bound (lesson 02), rate and mutual information (03), sum and mean over pixels (12). About 15 minutes.
#
# Many write the loss of a VAE with a weight on its KL: E_q[-log p(x | z)] + β KL. What do we get for it? Four numbers,
# all in nats an image, averaged over images x:
#
#     D = E[-log p(x | z)]           distortion: what is still to be said of the image, once its code is known
#     R = E[KL(q(z|x) || p(z))]      rate: what the code costs, against the prior
#     H = E[-log p*(x)]              the entropy of the data, p* being where they come from; no model in it
#     I = E[KL(q(z|x) || q(z))]      mutual information: what the code says of the image; q(z) is the aggregate
#
# The loss is D + βR. Here D is the distortion (elsewhere in the course the number of pixels: that is n here).
#
# ## H - D ≤ I ≤ R
# Lesson 03 inserted q(z) into the rate. Do the same with the distortion. The encoder alone says what an image with the
# code z looks like: q(x | z) = p*(x) q(z | x) / q(z), Bayes' rule. It is the best decoder there can be:
#
#     R - I       = E[log q(z) - log p(z)]        = KL(q(z) || p(z))              ≥ 0     the prior misses the aggregate
#     D - (H - I) = E[log q(x|z) - log p(x|z)]    = E_q(z)[ KL(q(x|z) || p(x|z)) ] ≥ 0     the decoder misses q(x | z)
#
# for H - I = E[-log q(x | z)]. Add them: **D + R = H + two mismatches**. So D + R never falls below H, whatever the
# model, and I lies between H - D and R. Notes have been seen with "<" on both sides. Is equality possible?
#
# A model where all has a formula: z ~ N(0, 1), x | z ~ N(z, 1), data from this very model, x ~ N(0, 2); any encoder
# q = N(a x, s²). The aggregate is N(0, v) with v = 2a² + s², and
#
#     R = (v - 1 - log s²) / 2,    I = log(v / s²) / 2,    D = (log 2π + 2 (1 - a)² + s²) / 2,    H = (log 4π + 1) / 2
#
# **Predict before you run:** for which a and s² is H - D = I = R, and how large is it?

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
BLACK, WINE, INDIGO, OLIVE = "#000000", "#882255", "#332288", "#999933"  # no built-in estimator's
H = (np.log(4 * np.pi) + 1) / 2


def by_formula(a, s2):
    """D, R, I of the encoder N(a x, s2)."""
    v = 2 * a**2 + s2
    return (np.log(2 * np.pi) + 2 * (1 - a) ** 2 + s2) / 2, (v - 1 - np.log(s2)) / 2, np.log(v / s2) / 2


def log_normal(z, mean, var):
    return -((z - mean) ** 2 / var + np.log(2 * np.pi * var)) / 2


nodes, weights = tv.check.gauss_hermite(64, 1)  # N, 1; N
x = np.sqrt(2) * nodes  # N, 1
print("encoder            H - D         I         R    D + R - H")
ENCODERS = {"posterior": (1 / 2, 1 / 2), "too sure": (1 / 2, 1 / 4), "too timid": (1 / 4, 3 / 4), "off": (1.0, 1 / 2)}
for name, (a, s2) in ENCODERS.items():
    D, R, I = by_formula(a, s2)
    z = a * x + np.sqrt(s2) * nodes.T  # N, N: images, noise
    own, both = log_normal(z, a * x, s2), weights[:, None] * weights  # N, N: log q(z | x); and the weights
    together = np.log(np.exp(log_normal(z[..., None], a * x[:, 0], s2)) @ weights)  # N, N: log q(z), a mean over images
    sums = [(both * term).sum() for term in (-log_normal(x, z, 1), own - log_normal(z, 0, 1), own - together)]
    print(f"{name:<14}{H - D:10.6f}{I:10.6f}{R:10.6f}{D + R - H:10.6f}")
    assert max(abs(np.subtract(sums, (D, R, I)))) < 1e-9 and H - D < I + 1e-9 and I < R + 1e-9
assert np.allclose([H - by_formula(0.5, 0.5)[0], *by_formula(0.5, 0.5)[1:]], np.log(2) / 2, rtol=0, atol=1e-9)

# %% [markdown]
# The exact posterior has them all: .346574, log(2)/2. Then the aggregate is the prior and the decoder q(x | z), no
# mismatch is left, and D + R = H. "<" is too strong.
#
# ## What β does to q
# Hold the decoder. With q_β ∝ p(z) p(x | z)^(1/β), whose integral is Z, the loss of one image is
#
#     E_q[-log p(x|z)] + β KL(q || p) = β E_q[log q - log(p(z) p(x|z)^(1/β))] = β KL(q || q_β) - β log Z
#
# so q_β is best: the posterior with its likelihood raised to a power. On our model the power multiplies the noise's
# variance by β, so a = 1/(1 + β), s² = β/(1 + β). And what is left is *not* log p(x) but a power mean:
#
#     largest of E_q[log p(x|z)] - β KL(q || p)  =  β log Z  =  log (E_{z ~ p}[ p(x|z)^(1/β) ])^β
#
# which falls as β grows (Jensen). It is log p(x) at β = 1 alone; below it for β > 1, a looser bound; and for β < 1
# **above** it. "The ELBO with weight β" is an evidence lower bound only if β ≥ 1. (Nor is the loss one: it is minus.)

# %%
log_px = log_normal(1.0, 0, 2)  # one image, x = 1
best = {}
for beta in (0.5, 1.0, 2.0):
    a, s2 = 1 / (1 + beta), beta / (1 + beta)
    kl = (a**2 + s2 - 1 - np.log(s2)) / 2
    best[beta] = -(np.log(2 * np.pi) + (1 - a) ** 2 + s2) / 2 - beta * kl
    power_mean = beta * np.log(weights @ np.exp(log_normal(1.0, nodes[:, 0], 1) / beta))
    print(f"β = {beta}: the best objective is {best[beta]:.3f}; log p(x) = {log_px:.3f}")
    assert abs(best[beta] - power_mean) < 1e-9
assert round(best[0.5], 3) == -1.360 and round(log_px, 3) == -1.516 and best[2] < log_px - 0.1

# %% [markdown]
# ## A point on a curve, by its slope
# Over all encoders, the least D for each R is a curve in the **rate-distortion plane**, and D + βR is least where its
# slope is -β: at β nats of distortion for one nat of rate we stop buying. Where D + R = H the slope is -1.
#
# Now let the decoder learn, too. For any a < 1/√2 take s² = 1 - 2a²: then v = 1, and R = I. As decoder take q(x | z):
# then D = H - I. So the *whole* line D = H - R is reached. A line has one slope. At β = 1 all its points tie: a code
# that says nothing has as good an ELBO as one that says much, so how much the code says cannot be read off it. With
# β < 1 the rate runs off without end, with β > 1 to zero. (D is of a density here, and goes below 0: see R = 4.)

# %%
for R in (0.0, 0.5, 4.0):
    a2 = (1 - np.exp(-2 * R)) / 2  # s² = 1 - 2a² = e^-2R
    noise = 2 - 4 * a2  # q(x | z) = N(2 a z, 2 - 4a²), for Cov(x, z) = 2a and Var z = 1
    D = (np.log(2 * np.pi * noise) + (2 * (1 - 2 * a2) ** 2 + 4 * a2 * (1 - 2 * a2)) / noise) / 2
    print(f"decoder N({2 * np.sqrt(a2):.3f} z, {noise:.4f}): R = {R}, D = {D:7.4f}, D + R = {D + R:.4f}")
    assert abs(D + R - H) < 1e-9

# %% [markdown]
# ## The two limits
# As it is often printed: "with R = 0, D = H; with D = 0, R = H". Put it to the test on the least data set there is, one
# fair bit, H = log 2. Its codes are N(±m, s²); let r = m/s. For a given r the least rate is at s² = 1/(1 + r²):
#
#     R = (s² (1 + r²) - 1 - log s²) / 2 = log(1 + r²) / 2,    I = log 2 - E_ε[log(1 + e^(-2r (r + ε)))]
#
# for the best decoder is a logistic curve: log q(1|z) - log q(0|z) = 2mz/s². With it D = log 2 - I. And data of n
# pixels that all show this bit? H is log 2 as before; but a decoder whose pixels are independent given z, a
# **factorised** one, pays for each pixel anew: D = n (log 2 - I).
#
# **Predict before you run:** what do D = H, R = 0 and D = 0, R = H become, for n = 1 and n = 2? Then, at β = 1, how
# much does the best code say?

# %%
ratios, noise = np.linspace(0, 12, 1201), np.linspace(-10, 10, 2001)  # M: r; G
bell = np.exp(log_normal(noise, 0, 1)) * (noise[1] - noise[0])  # G
rates = np.log1p(ratios**2) / 2  # M
told = np.log(2) - np.logaddexp(0, -2 * ratios[:, None] * (ratios[:, None] + noise)) @ bell  # M: I
left = np.log(2) - told  # M: the distortion of one pixel
for rest in (1e-1, 1e-2, 1e-4, 1e-8):
    i = np.flatnonzero(left < rest)[0]
    print(f"one bit, D below {rest:g}: R = {rates[i]:.3f}, I = {told[i]:.3f}, H = {np.log(2):.3f}")
chosen = {}
for n_copies, beta in ((1, 1.0), (2, 1.0), (64, 1.0), (64, 63.0), (64, 64.0)):
    i = (n_copies * left + beta * rates).argmin()
    chosen[n_copies, beta] = rates[i], told[i]
    print(f"{n_copies} pixels, β = {beta}: the best code has R = {rates[i]:.3f} and says I = {told[i]:.3f}")

# %% [markdown]
# **R = 0.** For one pixel D = H. For n pixels D = n log 2: the sum of the pixels' entropies, not the entropy of the
# image. The difference is the **total correlation**, what the pixels tell of each other.
#
# **D = 0.** Two Gaussian codes never part for good, and as they part, their aggregate leaves the prior: I ends at H,
# but the rate grows without end, if slowly (like log r). D = 0 takes more than H, and here more than any number.
#
# **β.** One pixel is not worth a code at β = 1, for I ≤ R always: the code would earn I and cost R. With n copies it
# earns nI, and costs βR. As r goes to 0 both I and R are r²/2: **a code pays if and only if n > β.**
#
# On digits? H is unknown, but D + R of any model is above it, as is -E[log p(x)] of any model. What each pixel costs
# by itself can be counted. Shares counted in N training images cost held-out ones n/2N = .02 nats too much on average.

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
ARROW = {"arrowstyle": "->", "color": "0.4"}
slopes = np.geomspace(0.02, 50, 300)  # β
D, R, _ = by_formula(1 / (1 + slopes), slopes / (1 + slopes))
axes[0].plot(R, D, color=INDIGO, lw=2)
axes[0].text(0.02, 2.45, "decoder held: the best q", color=INDIGO, fontsize=11)
for beta, where in ((0.25, (4, 6)), (0.5, (4, 6)), (1.0, (6, 6)), (2.0, (8, 2)), (8.0, (8, -2))):
    D, R, _ = by_formula(1 / (1 + beta), beta / (1 + beta))
    axes[0].plot(R, D, "o", color=INDIGO)
    axes[0].annotate(f"β = {beta:g}", (R, D), where, textcoords="offset points", fontsize=11)
axes[0].annotate("D = H - R: all reached\nif the decoder learns", (1.2, H - 1.2), (0.35, 0.4), arrowprops=ARROW)
axes[0].set(title="β picks the point where the curve's slope is -β", ylim=(0.3, 2.6), xlim=(0, 1.5))
axes[1].plot(rates, left, color=WINE, lw=2, label="one pixel")
axes[1].plot(rates, 2 * left, "--", color=INDIGO, lw=2, label="two pixels with the same bit")
axes[1].legend(frameon=False, fontsize=11)
axes[1].plot([0, np.log(2)], [np.log(2), 0], "*", color=BLACK, ms=13, clip_on=False, zorder=4)
axes[1].annotate("R = 0, D = H: with one pixel", (0.02, 0.7), (0.62, 0.85), fontsize=11, arrowprops=ARROW)
axes[1].annotate("D = 0, R = H: never", (0.71, 0.01), (1, 0.35), fontsize=11, arrowprops=ARROW)
axes[1].set(title="The limits of one bit are not where they are said to be", ylim=(0, 1.55), xlim=(0, 1.8))
for ax, entropy in zip(axes, (H, np.log(2))):
    ax.fill_between([0, entropy], [entropy, 0], color="0.88", lw=0, zorder=0)
    ax.set(xlabel="rate R, nats", ylabel="distortion D, nats")
axes[0].text(0.1, 1.05, "no model\nis here", color="0.35", fontsize=11)
fig.savefig(FIGURES / "13_limits.png", dpi=130)

# %%
digits, rng = tv.datasets.load("digits"), np.random.default_rng(0)
train, test = (tv.datasets.binarize(images, rng) for images in (digits.train, digits.test))  # N = 1437, n; 360, n
n, BETAS, EXTRA, SEEDS = train.shape[1], (0.2, 0.5, 1.0, 1.5, 2.2, 3.0), (5.0, 64.0), range(2)
runs, watched = {}, {}
for beta, seed in [(beta, seed) for beta in BETAS + EXTRA for seed in SEEDS]:
    runs[beta, seed] = vae = tv.VAE(n, 10, hidden=(100,), seed=seed)
    settings = {"objective": tv.ELBO(beta=beta), "optimizer": tv.Adam(3e-3), "n_samples": 1, "seed": seed}
    watched[beta, seed] = [record.kl for record in tv.train(vae, train, **settings, epochs=40, batch_size=100)]
share = (train.sum(axis=0) + 0.5) / (len(train) + 1)  # n, how often a pixel is white
alone = -np.where(test, np.log(share), np.log(1 - share)).sum(axis=1)  # 360: each pixel by itself
at_most = [-runs[1.0, seed].log_likelihood(test, 100, np.random.default_rng(1)) for seed in SEEDS]  # seeds of 360
short = [(alone - one).mean() for one in at_most], [(alone - one).std() / np.sqrt(len(test)) for one in at_most]
for what, one in (("Pixels one by one", alone), *((f"H is at most (seed {seed})", at_most[seed]) for seed in SEEDS)):
    print(f"{what}: {one.mean():.2f} ± {one.std() / np.sqrt(len(test)):.2f} nats a held-out image")
print("Shortfall, image by image:", ", ".join(f"{lack:.2f} ± {error:.2f}" for lack, error in zip(*short)))

# %% [markdown]
# 27.0 nats, where H is at most 23.6: without a code, independent pixels fall short of D = H by 3.4 nats, or more. A
# decoder that draws pixel after pixel could get there, and leave its code unused: R = 0 on the line D + R = H.
#
# ## Digits on the plane
# Training images in bits, ten latents, two seeds. `tv.evaluate.rates` estimates all four: R by formula, I and
# KL(q(z) || p) from draws and the mixture of all 1,437 codes. Here p* is *these images*, so I is at most log 1437, 7.27
# (above, H was that of all digits), and the function warns where I counts images and no more (β ≤ 1/2 here).
#
# What to choose? Two uses: a **probe**, a linear classifier that gets ten labelled codes of each digit; and
# **generation**, which decodes draws of the prior, where KL(q(z) || p) says how far the codes are from there.
#
# **Predict before you run:** from β = 1 to 1.5 half of the rate goes. How much worse does the probe get?

# %%
found, probed = {}, {}
print("   β  seed      R       D       I      KL(q(z)||p)    held out: D + R    probe")
for beta in BETAS:
    for seed in SEEDS:
        vae, rng = runs[beta, seed], np.random.default_rng(0)
        found[beta, seed] = parts = tv.evaluate.rates(vae, train, rng, n_samples=2)
        labels = digits.train_labels, test, digits.test_labels
        probed[beta, seed] = tv.evaluate.probe(vae, train, *labels, per_class=10, rng=rng, n_repeats=5)
        (R, _), (D, _), (I, error), (KL, KL_error) = parts[:4]
        loss, right = tv.evaluate.bound(vae, test, n_samples=8).loss, probed[beta, seed].codes
        print(f"{beta:4}{seed:5d}{R:9.2f}{D:8.2f}{I:8.2f} ± {error:.2f}{KL:7.2f} ± {KL_error:.2f}{loss:12.2f}", end="")
        print(f"{right.value:13.3f} ± {right.error:.3f}")
pixels = probed[1.0, 0].pixels  # of the same rows in all models
print(f"The probe on pixels: {pixels.value:.3f} ± {pixels.error:.3f}")

# %%
R, D, I, KL = np.array([[part.value for part in found[key][:4]] for key in found]).T  # 12 each: β, seed
right = np.array([probed[key].codes.value for key in probed])  # 12
upper = min(one.mean() for one in at_most)
fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
axes[0].axline((0, upper), slope=-1, color=BLACK, ls=":")
axes[0].text(4.4, 20, f"D + R = {upper:.1f}: H is no more,\nthe border is here or below", fontsize=11)
axes[0].plot(0, alone.mean(), "s", color=BLACK, ms=8)
axes[0].text(0.5, 27.6, "no code: each pixel's entropy", fontsize=11)
for seed, line, fill in zip(SEEDS, ("-", "--"), (INDIGO, "white")):
    axes[0].plot(R[seed::2], D[seed::2], "o", ls=line, color=INDIGO, mfc=fill)
    axes[1].plot(KL[seed::2], right[seed::2], "o", ls=line, color=INDIGO, mfc=fill)
for i, beta in enumerate(BETAS):
    axes[0].annotate(f"β = {beta:g}", (R[2 * i], D[2 * i]), (7, 4), textcoords="offset points", fontsize=11)
    axes[1].annotate(f"β = {beta:g}", (KL[2 * i], right[2 * i]), (0, -18), textcoords="offset points", fontsize=11)
axes[0].set(xlabel="rate R, nats an image", ylabel="distortion D, nats an image", xlim=(-0.4, 17), ylim=(12, 29))
axes[0].set_title("β walks along a curve: training images, two seeds")
axes[1].axhline(pixels.value, color=BLACK, ls=":")
axes[1].text(0.6, pixels.value - 0.012, "the probe on pixels", fontsize=11)
axes[1].set(xscale="log", xlim=(0.004, 20), ylim=(0.6, 0.78), xlabel="KL(q(z) || p(z)), nats: all codes to the prior")
axes[1].set(ylabel="probe: digits labelled right", title="Nearer to the prior costs the probe nothing, then much")
fig.savefig(FIGURES / "13_digits.png", dpi=130)

# %% [markdown]
# Nothing. Between β = 0.2 and 1.5 the probe stays within its error, while the rate falls from 14 to 2.4 nats and the
# aggregate's distance from the prior from 7 nats to .1; at 2.2 the probe falls. So for labels *and* draws, β = 1.5
# is the better choice, though its bound on held-out images is half a nat worse than that of β = 1, made for it. On bits
# ten numbers beat the pixels, .75 to .72; on lesson 11's greys they do not. A small β buys reconstruction: R is twice
# the 7.27 nats of these images, D still 14: "D = 0, R = H" is not even near.
#
# ## Collapse, watched
# A pixel knows no more of z than the image, I(x_d; z) ≤ I. So for pixels that are independent given z,
#
#     D ≥ Σ_d H(x_d | z) = Σ_d H(x_d) - Σ_d I(x_d; z) ≥ Σ_d H(x_d) - n I ≥ Σ_d H(x_d) - n R
#
# The mean over pixels is β = n (lesson 12). Then D + nR is never less than Σ_d H(x_d), and a decoder of bits has that
# without a code (a Gaussian of fixed variance need not: lesson 12 has its bound). *Whatever the images*, the collapse
# is the optimum. No optimizer or annealing is to blame, or will help.
#
# How small must β be? A weak code is z = r a(x) + noise, a of mean 0 and variance 1 over the images. R is about r²/2.
# Pixel d, whose correlation with a is ρ_d, is told r² ρ_d²/2. So the code pays if **Σ_d ρ_d² > β**. The largest such
# sum over all a is the largest eigenvalue of the pixels' correlation matrix: n for n copies, as above. Each further
# eigenvalue above β is one more direction that pays. (A strong code may pay where no weak one does: five bits and their
# 26 parities are uncorrelated: all eigenvalues are 1.) The digits have 3.82, 3.45, 3.31, 2.41, 1.98, 1.73 ...
#
# **Predict before you run:** how many directions do β = 3, 2.2 and 5 leave? And how soon is it seen in training?

# %%
seen = train[:, train.var(axis=0) > 0].astype("float64")  # N, pixels that are not black in all images
spectrum = np.linalg.eigvalsh(np.corrcoef(seen.T))[::-1]  # pixels, largest first
kept = {key: (np.linalg.eigvalsh(np.cov(vae.encode(train).mean.T)) > 0.02).sum() for key, vae in runs.items()}
print("Eigenvalues:", np.round(spectrum[:6], 2))
for beta in BETAS[2:] + EXTRA:
    used = [tv.evaluate.active_units(runs[beta, seed], train).count for seed in SEEDS]
    ends = ", ".join(f"{np.mean(watched[beta, seed][-15:]):.4f}" for seed in SEEDS)
    stay = [int(kept[beta, seed]) for seed in SEEDS]
    print(f"β = {beta:4}: R {ends}; directions {stay}, predicted {min(10, (spectrum > beta).sum())}; active {used}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for beta, color in ((1.0, "0.7"), (2.2, OLIVE), (3.0, INDIGO), (5.0, WINE), (64.0, BLACK)):
    for seed, line in zip(SEEDS, ("-", "--")):
        epochs = np.reshape(watched[beta, seed], (40, -1)).mean(axis=1)  # 40: 15 steps each
        axes[0].plot(np.arange(1, 41), epochs, line, color=color, lw=2)
    axes[0].text(41, epochs[-1], f"β = {beta:g}", va="center", fontsize=11)
axes[0].set(yscale="log", xlim=(0, 50), xlabel="epochs", ylabel="rate R, nats an image")
axes[0].set_title("β = 5: the code is given up within ten epochs")
line = np.geomspace(0.8, 90, 2000)
axes[1].plot(line, [min(10, (spectrum > beta).sum()) for beta in line], color="0.4", lw=2)
axes[1].text(4.2, 3, "eigenvalues of the pixels'\ncorrelation above β", fontsize=11)
for seed, mark, fill in zip(SEEDS, "os", (WINE, "none")):
    counts = [kept[beta, seed] for beta in BETAS[2:] + EXTRA]
    axes[1].plot(BETAS[2:] + EXTRA, counts, mark, color=WINE, mfc=fill, ms=9, label=f"seed {seed}")
axes[1].axvline(n, color=BLACK, ls=":"), axes[1].text(57, 9, "mean over pixels", ha="right", fontsize=11)
axes[1].set(xscale="log", xlabel="β", ylabel="directions in use, of 10", ylim=(-0.3, 10.5))
axes[1].set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
axes[1].set_title("How many directions stay is written in the data")
axes[1].minorticks_off(), axes[1].legend(frameon=False, loc=(0.62, 0.5))
fig.savefig(FIGURES / "13_collapse.png", dpi=130)

# %% [markdown]
# The data say how many directions stay, to within one. (`active_units` counts latents, at β = 3 seven or eight that
# share three directions: nothing keeps a weak direction to one latent.) At β = 64 the code is all but gone after five
# epochs; at 3 and 2.2 the rate falls, too, and then comes back: a low rate early on need not be the end.
#
# **Believed before:** β is a knob between good copies and good samples; collapse is bad training. **Believe now:** β
# picks a point of a curve by its slope, and a straight line has no such point. A code is worth buying only where pixels
# tell of each other: more than β of them, so to speak. D = H, R = 0 and D = 0, R = H are corners that none need reach.
# **The number that changed it:** 3.82, the largest eigenvalue of the pixels' correlation: at β = 3 three directions are
# left, at 5 none, and at 64, the mean over pixels, no images of bits could keep one.
#
# **Sources:** Alemi et al. 2018 (the plane, the limits); Hoffman & Johnson 2016 (R = I + KL); Higgins et al. 2017
# (beta-VAE); Lucas et al. 2019 (collapse in linear VAEs); Tishby, Pereira & Bialek 1999 (the exchange rate).
#
# **Exercises:** `tinyvae exercise 13`
# 1. `rate_distortion_information`: R, D and I of a Gaussian code with any decoder, by hand.
# 2. `best_code`: the best q at β, and what its objective is, with any noise.
# 3. `least_distortion`: how far independent pixels can come with a given code.

# %%
assert abs(rates[np.flatnonzero(left < 1e-8)[0]] - 1.774) < 1e-3 and told.max() < np.log(2) + 1e-9
assert (told <= rates + 1e-9).all() and (n * left + n * rates).min() > n * np.log(2) - 1e-6
assert max(chosen[1, 1.0][0], chosen[64, 64.0][0]) < 1e-3 < 0.1 < chosen[64, 63.0][0] and 0.55 < chosen[2, 1.0][1] < 0.6
assert abs(alone.mean() - 27.0) < 0.1 and all(one.mean() + 3 * one.std() / np.sqrt(360) < 24.15 for one in at_most)
assert all(lack > 3 and lack - 5 * error > 2.5 for lack, error in zip(*short))
assert all(abs(part.information.value + part.aggregate_kl.value - part.rate.value) < 0.2 for part in found.values())
assert (np.diff(R.reshape(-1, 2), axis=0) < 0).all() and (np.diff(D.reshape(-1, 2), axis=0) > 0).all()
assert R[:2].min() > 13 and I.max() < np.log(1437) and R[6:8].max() < 2.7 and KL[6:8].max() < 0.2 < 5 < KL[:2].min()
assert np.ptp(right[:8]) < 0.05 and max(right[8:].max(), pixels.value + 0.01) < right[:8].min()
assert np.abs(spectrum[:6] - (3.82, 3.45, 3.31, 2.41, 1.98, 1.73)).max() < 0.005
assert all(abs(kept[key] - min(10, (spectrum > key[0]).sum())) <= 1 for key in kept if key[0] >= 1)
assert all(kept[beta, s] == {3.0: 3, 5.0: 0, 64.0: 0}[beta] for beta in (3.0, 5.0, 64.0) for s in SEEDS)
assert max(np.mean(watched[key][135:150]) for key in ((5.0, 0), (5.0, 1), (64.0, 0), (64.0, 1))) < 0.03
words = f"{alone.mean():.1f} nats without a code, where H is at most {upper:.1f}"
print(f"Headline: {words}; above β = {spectrum[0]:.2f} no weak code pays.")
