"""A latent variable model, and the price of p(x)

Question: what is p(x), and why can nobody compute it?

With two latent numbers we do compute it. With twenty nobody can; the way around is the bound that the course needs.
"""

# %% [markdown]
# **Needs:** lesson 01 (encoder, decoder, code), Gaussian densities, Bayes' rule. About 17 minutes.
#
# A **latent variable** is a number that has a part in making the data and is not in the data. A model with latents is a
# recipe in two steps. Draw a code z of K numbers from a fixed density, the **prior** p(z) = N(0, I). Then draw the
# image x of D pixels from p(x | z), which a decoder spells out. To draw in this order is **ancestral sampling**. The
# recipe has a picture, the **plate diagram**. A circle is a random number, shaded where it is observed. What is on the
# plate happens anew for each of N images, and θ, the decoder's weights, is shared by all:
#
#        ┌──────────────────────┐
#        │  ( z ) ────► (▒x▒) ◄─┼─── θ
#        └───────────── N images┘
#
# Here x is a digit of 64 black or white pixels, and the decoder gives each pixel its own probability of being white:
#
#     p(x | z) = prod_d p_d(z)^x_d (1 - p_d(z))^(1 - x_d)           given z, the pixels are independent
#
# How it is trained is the subject of later lessons; `tv.train` does it. A **nat** is the unit of a natural logarithm.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import check

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
BLUE, ORANGE, GREEN, PALE = "#0072B2", "#D55E00", "#009E73", "#AAC4DD"
rng = np.random.default_rng(0)
digits = tv.datasets.load("digits")
train = tv.datasets.binarize(digits.train, rng)  # N, D
images = tv.datasets.binarize(digits.test, rng)[:20].astype("float64")  # B, D


def trained(K, hidden=(50,)):
    vae = tv.VAE(n_features=64, n_latents=K, hidden=hidden, dtype="float64", seed=0)
    for _ in tv.train(vae, train, optimizer=tv.Adam(3e-3), epochs=40, batch_size=100, seed=0):
        pass
    return vae


vae = trained(K=2)
z = rng.standard_normal((7, 2))  # S, K
means, drawn = vae.decode(z).mean, vae.decode(z).sample(rng)  # S, D; S, D
grey = ((means > 0.1) & (means < 0.9)).sum(axis=1)  # S
print(f"Pixels between .1 and .9, of 64: {grey.mean():.0f} in a mean image; in a drawn one, as in the data, none")
assert grey.min() > 10 and set(np.unique(drawn)) == set(np.unique(images)) == {0, 1}

# %% [markdown]
# What papers print as "samples" are usually *means*, the p_d(z). A draw from the model is the speckled row of the
# figure below: each pixel throws its own coin.
#
# **Predict before you run:** given z, the pixels are independent. Are the pixels of the images that the model draws
# independent, then? No: they share their z. The law of total covariance says by how much, for i and j different,
#
#     Cov(x_i, x_j) = E_z[Cov(x_i, x_j | z)] + Cov_z(p_i(z), p_j(z)) = 0 + Cov_z(p_i(z), p_j(z))
#
# With K = 2 a mean over z is a sum over a **grid**: the value at each point, times p(z), times the area of a cell.


# %%
def grid(K, n=46, reach=6.0):
    """The points of a regular grid, (n^K, K), and the volume of a cell."""
    axis = np.linspace(-reach, reach, n)
    points = np.stack(np.meshgrid(*[axis] * K, indexing="ij"), axis=-1).reshape(-1, K)  # n^K, K
    return points, (axis[1] - axis[0]) ** K


def log_normal(z, mean=0.0, var=1.0):
    """log N(z; mean, var), summed over the last axis."""
    return -0.5 * ((z - mean) ** 2 / var + np.log(2 * np.pi * var)).sum(axis=-1)


points, cell = grid(2)
share, p = np.exp(log_normal(points)) * cell, vae.decode(points).mean  # N; N, D
mean = share @ p  # D
cov = (p * share[:, None]).T @ p - np.outer(mean, mean)  # D, D
np.fill_diagonal(cov, mean * (1 - mean))
model_corr = cov / np.sqrt(np.outer(mean * (1 - mean), mean * (1 - mean)))  # D, D
data_corr = np.corrcoef(train.T + 1e-6 * rng.random(train.T.shape))  # D, D; some pixels are always black
i, j = np.unravel_index(np.triu(model_corr, 1).argmax(), (64, 64))
print(f"Correlation of pixels {i} and {j}: given z 0, model {model_corr[i, j]:.2f}, digits {data_corr[i, j]:.2f}")
assert model_corr[i, j] > 0.2 and data_corr[i, j] > 0.2

fig, axes = plt.subplots(1, 3, figsize=(12, 3.2), width_ratios=(2.6, 1, 1), layout="constrained")
rows = [np.hstack([np.pad(one.reshape(8, 8), 1, constant_values=0.5) for one in row]) for row in (means, 1.0 * drawn)]
axes[0].imshow(np.vstack(rows), cmap="gray", vmin=0, vmax=1)  # 20, 70
axes[0].set(xticks=[], yticks=(4.5, 14.5), yticklabels=("mean", "drawn"), title="means are grey, draws are not")
for ax, corr, title in zip(axes[1:], (model_corr, data_corr), ("model: not independent", "digits")):
    picture = ax.imshow(corr, cmap="RdBu_r", vmin=-0.4, vmax=0.4)
    ax.set(title=title, xlabel="pixel", ylabel="pixel", xticks=(0, 63), yticks=(0, 63))
fig.colorbar(picture, ax=axes[1:], label="correlation over all z", shrink=0.7, extend="max")
fig.savefig(FIGURES / "02_recipe.png", dpi=130)

# %% [markdown]
# ## Four densities, and what each costs
# p(x) is the probability that the recipe ends in this image, *whatever* z it began with. The **posterior** p(z | x)
# says which z it may have begun with. A decoder's pass is one z that is tried; the grid has 46 points an axis.
#
#     p(z)                                      a formula                     no pass
#     p(x | z)                                  one pass                      1
#     p(x) = ∫ p(x | z) p(z) dz                 a sum over all z              46² = 2116     (K = 20: 46^20 = 2e33)
#     p(z | x) = p(x | z) p(z) / p(x)           the three above               the same
#
# All are as good as exact: a grid finer than the width of a smooth integrand that dies out on all sides errs very
# little (31 points an axis agree with 46 to 1e-5 nats, below). Bayes' rule is one division: it is not what is dear. Is
# it the network? A decoder *without* a hidden layer needs the same 46^K passes; it has no formula either. What is dear
# is the number of dimensions. One family has a formula at any K: a linear decoder with Gaussian noise.
#
# ## Without a grid
# p(x) is a mean over the prior, so draw from it: p(x) ≈ 1/S sum_s p(x | z_s). If few draws explain x, those few are the
# whole sum. With w = p(x | z), one **effective** draw costs E[w²] / E[w]² draws: 1 if all weigh the same, S if one of S
# has all the weight. A model where this can be done on paper: x is z plus noise of standard deviation s = .1, in each
# of K dimensions. In one of them, E[w] = N(x; 0, v) with v = 1 + s². A squared density is a narrower one times a
# constant, w² = N(x; z, s²/2) / (2 s sqrt(π)), so that E[w²] = N(x; 0, u) / (2 s sqrt(π)) with u = 1 + s²/2. Together:
#
#     E[w²] / E[w]² = v / (s sqrt(2u)) exp(x²/v - x²/(2u)),  mean of its log over x: log(v / (s sqrt(2u))) + 1 - v/(2u)
#
# **Predict before you run:** with s = .1, one dimension takes about 12 draws. How many do twenty take: 240?

# %%
s, wide, S = 0.1, 1.2, 1000
v, u = 1 + s**2, 1 + s**2 / 2
price = (np.log(v / (s * np.sqrt(2 * u))) + 1 - v / (2 * u)) / np.log(10)
fine, step = grid(1, n=2001)
w = np.exp(log_normal(0.7 - fine, var=s**2))  # N: p(x | z) at x = .7
on_grid = (w**2 * np.exp(log_normal(fine))).sum() * step / np.exp(2 * log_normal(np.array([0.7]), var=v))
assert np.isclose(on_grid, v / (s * np.sqrt(2 * u)) * np.exp(0.7**2 * (1 / v - 1 / (2 * u))), rtol=1e-9)
print(f"Prior draws for one effective draw: 10^({price:.3f} K), mean of the logarithm; K = 20: 10^{20 * price:.1f}")
log_sum = np.logaddexp.reduce  # log of the sum of exp, over the first axis
x, eps = np.sqrt(v) * rng.standard_normal((50, 20)), rng.standard_normal((S, 50, 20))  # 50, K; S, 50, K
at, var = x / v, wide**2 * s**2 / v  # the posterior's mean, 50, K; its variance, widened
z = at + np.sqrt(var) * eps  # S, 50, K
log_w = log_normal(x - eps, var=s**2), log_normal(x - z, var=s**2) + log_normal(z) - log_normal(z, at, var)  # 2: S, 50
off_prior, off_q = (log_sum(log) - np.log(S) - log_normal(x, var=v) for log in log_w)  # 50; 50
print(f"log p(x) from {S} draws, K = 20, median error: prior {np.median(off_prior):.0f}, q {np.median(off_q):.2f} nats")
q_price = np.log10(wide**2 / np.sqrt(2 * wide**2 - 1))
chi = np.exp(2 * log_normal(fine) - log_normal(fine, 0, wide**2)).sum() * step  # E_q[w²] / E[w]², by grid
assert np.median(off_prior) < -100 and abs(off_q).max() < 5 * np.sqrt((chi**20 - 1) / S)  # standard errors
assert abs(np.log10(chi) - q_price) < 1e-9 and abs(chi - 1.05) < 5e-3 and abs(chi**20 - 2.66) < 5e-3

# %% [markdown]
# Costs *multiply* over dimensions: in each one, a draw must fall by chance within a tenth of the truth. A thousand
# draws miss log p(x) by hundreds of nats.
#
# The remedy is a better place to draw, a density q(z) near the posterior. Correct for it with **importance weights**, w
# = p(x | z) p(z) / q(z), whose mean under q is p(x) again, while E[w²] / E[w]² is ∫ p(z | x)² / q(z) dz. A q with the
# posterior's mean, but 1.2 times as wide, takes 1.2² / sqrt(2 · 1.2² - 1) = 1.05 draws a dimension: 2.7 in twenty, in
# place of 10^21.4. That is what an **encoder** is for: it says, for every x, where to look. Now the digits.


# %%
def log_given(vae, z, x):
    """log p(x | z) of each image at each code: z (N, K), x (B, D) -> (N, B). A decoder pass a code."""
    logits = vae.decode(z).logits  # N, D
    return logits @ x.T - np.logaddexp(0, logits).sum(axis=1, keepdims=True)


def log_p(vae, x, n=46):
    """log p(x) by grid, (B,), and log10 of the prior draws for one effective draw, (B,)."""
    points, cell = grid(vae.n_latents, n)
    given, prior = log_given(vae, points, x), log_normal(points)[:, None] + np.log(cell)  # N, B; N, 1
    log_px = log_sum(given + prior)  # B
    return log_px, (log_sum(2 * given + prior) - 2 * log_px) / np.log(10)


print(f"Digits, mean of 20   K  passes  log p(x): grid  encoder's q, S = {S}  prior draws for an effective one")
squares = []  # K, log10 of the draws
for label, hidden in (("no hidden layer", ()), ("50 hidden units", (50,))):
    for K in (1, 2, 3):
        model = vae if (K, hidden) == (2, (50,)) else trained(K, hidden)
        (exact, draws), (coarse, _) = log_p(model, images), log_p(model, images, n=31)  # B each
        by_q = model.log_likelihood(images, S, rng)  # B
        squares += [(K, draws.mean())] if hidden else []
        print(f"{label:<18}{K:4}{46**K:8}{exact.mean():16.4f}{by_q.mean():19.4f}{10 ** draws.mean():24.1f}")
        assert abs(exact - coarse).max() < 1e-5
        worst, middle = abs(by_q - exact).max(), abs((by_q - exact).mean())  # of 150 effective draws at the fewest
        assert worst < 5 / np.sqrt(150) and middle < 5 / np.sqrt(150 * len(images))
model = trained(20)
q = model.encode(images)  # B, K
z = q.sample(q.noise(rng, 2000))  # 2000, B, K
given = np.array([model.decode(code).log_prob(images) for code in z])  # 2000, B
log_w = given - q.log_ratio(z)  # 2000, B: minus log q(z) - log p(z)
by_q = log_sum(log_w) - np.log(2000)  # B
draws = (log_sum(log_w + given) - np.log(2000) - 2 * by_q) / np.log(10)  # B: E[w²] / p(x)², by q's weights
print(f"50 hidden units     20    2e33    nobody knows{by_q.mean():19.4f}{10 ** draws.mean():24.1f}")
assert 20 < 10 ** draws.mean() < 200

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
K = np.arange(1, 21)
ax.plot(K, K * np.log10(46), color="black", lw=2, label="grid, any decoder")
ax.plot(K, K * price, color=ORANGE, lw=2, ls="--", label="draws from the prior, x = z + noise of .1")
ax.plot(*zip(*squares, (20, draws.mean())), "s", color=GREEN, label="draws from the prior, the digits' models")
ax.plot(K, K * q_price, color=BLUE, lw=2, ls="-.", label="draws from a good q, x = z + noise of .1")
ax.set(xlabel="K, dimensions of z", ylabel="log10 of decoder passes", ylim=(-1, 35), xticks=(1, 5, 10, 15, 20))
ax.legend(frameon=False, title="p(x) by grid, or one effective draw for it", alignment="left")
ax.set_title("a grid pays for each dimension, prior draws for what x says of z")
fig.savefig(FIGURES / "02_price.png", dpi=130)

# %% [markdown]
# The squares say what the slogan "dimension" leaves out. Prior draws pay for what x *says* about z, and the model with
# K = 20 says little about most of the 20. A good *estimate* is cheap there. The number itself, and with it the proof
# that the estimate is good, is not to be had.
#
# ## log p(x) = ELBO + KL
# Take any density q(z). Then, line by line:
#
#     log p(x) = E_q[log p(x)]                                            (1)  no z in it, and q adds up to 1
#              = E_q[log p(x, z) - log p(z | x)]                          (2)  Bayes' rule, at every z
#              = E_q[log p(x, z) - log q(z) + log q(z) - log p(z | x)]    (3)  add nothing
#              = E_q[log p(x, z) - log q(z)] + KL(q || p(z | x))          (4)  KL(q || p) means E_q[log q - log p]
#              = ELBO + KL(q || p(z | x))                                 (5)  a name
#     ELBO     = E_q[log p(x | z)] - KL(q || p(z))                        (6)  as p(x, z) = p(x | z) p(z)
#
# A KL is never negative, and 0 only where the two are the same (lesson 03). So the **ELBO**, the evidence lower bound,
# is at most log p(x). Line 6 groups its terms anew: minus the **reconstruction loss**, minus the **rate**, which is the
# KL to the *prior*: log p(z) comes out of the joint density, log q out of line 3. It is not the KL of line 5. And line
# 6 needs no p(x). Now each line as a number: z ~ N(0, 1), x | z ~ N(z, 1), x = 1. Then p(x) = N(0, 2), the posterior is
# N(1/2, 1/2), and all logarithms are parabolas, for which 20 nodes of `gauss_hermite` (lesson 03) are exact. At the
# posterior, -log p(x) = 1.5155 is 1.2939 of reconstruction loss and .2216 of rate.

# %%
nodes, weights = check.gauss_hermite(20, 1)  # 20, 1; 20
log_px = log_normal(np.array([1.0]), var=2.0)


def terms(mu, var):
    """E_q of log q(z), log p(z), log p(x | z), log p(z | x), and the rate by its formula; q = N(mu, var); nats."""
    z = mu + np.sqrt(var) * nodes  # 20, 1
    logs = log_normal(z, mu, var), log_normal(z), log_normal(z, 1.0), log_normal(z, 0.5, 0.5)  # 4: 20
    return *(weights @ log for log in logs), (var + mu**2 - 1 - np.log(var)) / 2


for mu, var in ((-1.0, 0.1), (0.2, 0.81), (0.5, 0.5)):
    own, prior, given, posterior, rate = terms(mu, var)
    elbo, gap = given + prior - own, own - posterior
    lines = given + prior - posterior, elbo + gap, given - rate + gap
    split = f"{elbo:.4f} + {gap:.4f} = {lines[1]:.4f}, (6) {given:.4f} - {rate:.4f} + {gap:.4f} = {lines[2]:.4f}"
    print(f"q = N({mu}, {var}): (2) {lines[0]:.4f}, (5) {split}")
    assert all(abs(line - log_px) < 1e-10 for line in lines) and gap > -1e-10
assert abs(log_px + 1.5155) < 1e-4 and abs(given + 1.2939) < 1e-4 and abs(rate - 0.2216) < 1e-4  # at the posterior
assert own - rate > log_px + 0.2  # with E_q[log q] for the reconstruction, as some print it, it is no bound

# A digit and a network: the ELBO at Gauss-Hermite nodes, the gap on the grid.
q, x = vae.encode(images[:1]), images[:1]  # 1, K; 1, D
nodes2, weights2 = check.gauss_hermite(24, 2)  # 576, K; 576
elbo = weights2 @ log_given(vae, q.mu + q.std * nodes2, x)[:, 0] - q.kl()[0]
log_q, digit = log_normal(points, q.mu, q.std**2), log_p(vae, x)[0][0]  # N
gap = np.exp(log_q) @ (log_q - log_given(vae, points, x)[:, 0] - log_normal(points) + digit) * cell
print(f"The first digit: ELBO {elbo:.5f} + KL {gap:.5f} = {elbo + gap:.5f}; log p(x) on the grid {digit:.5f}")
assert abs(elbo + gap - digit) < 1e-10

# %%
mus = np.arange(-1.25, 2.3, 0.25)
_, prior, given, posterior, rate = np.transpose([terms(mu, 0.5) for mu in mus])  # 15 each
elbo = given - rate  # 15
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
axes[0].bar(mus, elbo + 6, 0.2, bottom=-6, color=PALE, label="ELBO, down to minus infinity")
axes[0].bar(mus, log_px - elbo, 0.2, bottom=elbo, color=ORANGE, hatch="//", label="KL(q || posterior)")
axes[0].axhline(log_px, color="black", lw=1.5, label="log p(x) = -1.5155")
axes[0].set(ylim=(-6, 0.6), ylabel="nats", title="q moves, the bar keeps its height")
axes[1].bar(mus, -given, 0.2, color=GREEN, label="reconstruction loss")
axes[1].bar(mus, rate, 0.2, bottom=-given, color=BLUE, hatch="..", label="rate, KL(q || prior)")
axes[1].axhline(-log_px, color="black", lw=1.5, label="-log p(x)")
axes[1].set(ylim=(0, 6.6), ylabel="nats", title="-ELBO, grouped anew: lowest at the posterior")
for ax in axes:
    ax.set(xlabel="mean of q = N(μ, 1/2); the posterior is at 1/2")
    ax.legend(frameon=False, loc="upper center")
fig.savefig(FIGURES / "02_bars.png", dpi=130)

# %% [markdown]
# ## Learning, with a known truth
# Raise the ELBO by turns, in q and in W, with x | z ~ N(W z, s² I). For q alone that closes the gap as far as its
# family allows. In W it is a regression of x on codes. The posterior's covariance is s² C^-1, C = W.T W + s² I: *not*
# diagonal, unless the columns of W are at right angles. The best diagonal q has variances s² / C_kk (lesson 03).
#
# p(x) = N(0, W W.T + s² I) stays as it is when W is turned, W → W Q with Q Q.T = I: data cannot tell the two apart. The
# bound can, if q is diagonal: its gap, (sum_k log C_kk - log det C) / 2, is zero only at right angles.

# %%
truth = np.array([[1.0, 0.8], [0.9, 0.2], [-0.4, 0.6], [0.3, 0.9], [1.1, 0.4], [0.2, -0.5]])  # D, K
model, s = tv.problems.LinearGaussian(truth, np.zeros(6), 0.5), 0.5
x = model.sample(5000, rng)  # N, D
second = x.T @ x / len(x)  # D, D
Ws, heights, gaps = np.zeros((2, 8, 6, 2)), np.zeros((2, 8)), np.zeros((2, 8))  # exact or diagonal q, seeds; ...
for diagonal, seed in np.ndindex(2, 8):
    W = np.random.default_rng(seed).standard_normal((6, 2))  # D, K
    for _ in range(1000):
        C = W.T @ W + s**2 * np.eye(2)  # K, K
        A = np.linalg.solve(C, W.T)  # K, D: the code of x has mean A x
        cov = np.diag(s**2 / C.diagonal()) if diagonal else s**2 * np.linalg.inv(C)  # K, K
        W = second @ A.T @ np.linalg.inv(cov + A @ second @ A.T)  # D, K: E[x z.T] E[z z.T]^-1
    learnt, Ws[diagonal, seed] = tv.problems.LinearGaussian(W, np.zeros(6), s), W
    heights[diagonal, seed] = learnt.log_likelihood(x).mean()  # .best(x): best diagonal q; .M: C
    gaps[diagonal, seed] = heights[diagonal, seed] - learnt.elbo(learnt.best(x), x).mean()
    assert abs(gaps[diagonal, seed] - (np.log(np.diag(learnt.M)).sum() - np.linalg.slogdet(learnt.M)[1]) / 2) < 1e-9
cosines = Ws.prod(axis=3).sum(axis=2) / np.sqrt((Ws**2).sum(axis=2).prod(axis=2))  # 2, 8
gain = 2 * len(x) * (heights.mean() - model.log_likelihood(x).mean())
print(f"mean log p(x): all 16 runs {heights.mean():.6f}, {gain:.1f} / 2N above the truth's")
for name, cosine in zip(("exact q", "diagonal q"), cosines):
    print(f"{name:<11} cosine of W's columns, eight starts: {', '.join(f'{c.round(2) + 0:.2f}' for c in cosine)}")
print(f"what a diagonal q gives away, nats: exact q's W {gaps[0].min():.4f} to {gaps[0].max():.4f}, its own W 0")
print(f"correlation in the truth's posterior: {-model.M[0, 1] / np.sqrt(model.M.diagonal().prod()):.2f}")
assert np.ptp(heights) < 1e-9 and 0 < gain < 11 + 5 * np.sqrt(22)  # chi-squared, 11 degrees of freedom
assert np.ptp(cosines[0]) > 0.5 and abs(cosines[1]).max() < 1e-3 and abs(gaps[1]).max() < 1e-6 < gaps[0].max()

fig, axes = plt.subplots(1, 2, figsize=(9, 3.9), sharex=True, sharey=True, layout="constrained")
plane = np.linalg.eigh(second)[1][:, :-3:-1]  # D, 2: the two directions in which x varies most
for ax, each, title in zip(axes, Ws, ("exact q, 8 starts: any rotation", "diagonal q: one pair of axes")):
    for k, (color, line) in enumerate(((ORANGE, "o-"), (BLUE, "s:"))):
        for seed, (a, b) in enumerate(each[:, :, k] @ plane):
            ax.plot(
                [0, a], [0, b], line, color=color, ms=9 - 5 * k, label=f"column {k + 1} of W" if seed == 0 else None
            )
    ax.set(title=title, xlabel="first direction of the data", ylabel="second direction", aspect="equal")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
fig.savefig(FIGURES / "02_axes.png", dpi=130)

# %% [markdown]
# All 16 runs find the same p(x), as good as the truth. (A fit beats the truth on its own N points by 11 / 2N on
# average: 12 weights less one angle.) With the exact q, W's columns stand at whatever angle the start gave them. With a
# diagonal q they stand at right angles, each time: an *assumption on q* chose the turn. The data could not.
#
# ## What has changed
# **Believed before:** p(x) is intractable because the decoder is a network, or because the posterior needs Bayes' rule.
# **Believe now:** p(x) is a sum over all codes, whose price multiplies over the dimensions; a q that knows where to
# look makes it cheap to bound. **The number that changed it:** 10^21.4 draws from the prior against 2.7 from a good q.
#
# **Sources:** Kingma & Welling 2014, sections 2.1 and 2.2, eqs. 1 to 3. Tipping & Bishop 1999, section 3 (the linear
# model, and W's rotation). Neal & Hinton 1998 (the bound raised by turns). Chatterjee & Diaconis 2018 (draws that
# importance sampling needs). Lucas et al. 2019, Rolinek et al. 2019 (diagonal q and the axes).
#
# **Exercises:** `tinyvae exercise 02`
# - `log10_prior_draws`: what one effective draw costs when the noise differs from pixel to pixel.
# - `bound_and_gap`: the two parts of log p(x), on paper, for any q.
# - `turned_for_a_diagonal`: the W that says the same of x and has a diagonal posterior.

# %%
assert abs(price - 1.069) < 5e-4 and 20 * q_price < 0.5
print(f"Headline: K = 20: 10^{20 * price:.1f} draws from the prior do what {10 ** (20 * q_price):.1f} from a good q do")
