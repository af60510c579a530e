"""What is in a latent space?

Question: what does a code say of its image, and what lies between the codes, and beyond them?
"""

# %% [markdown]
# **Needs:** lessons 01 (autoencoder, PCA, spread and noise), 03 (aggregate posterior); about 15 minutes.
#
# A **latent space** is all codes z there are, with what the decoder g makes of each. Pictures of it are famous: faces
# that turn, digits that melt into each other. Two words go with them. A space is **continuous** if codes that lie
# close together are decoded to images that are alike, and **complete** if any code drawn from p(z) is decoded to
# something like data. An autoencoder, it is said, has neither, a VAE has both, thanks to its KL. That can be measured.
#
# One network throughout, two hidden layers of 100 each way, K = 2 or 10 latents, three seeds; a Gaussian pixel with
# s = 0.2 and the **error** of a copy as in lesson 01. PCA is an autoencoder without hidden layers.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import likelihoods as says

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
digits = tv.datasets.load("digits")
train, test, labels, test_labels = digits.train, digits.test, digits.train_labels, digits.test_labels  # 1437; 360
D, SEEDS, S_PIXEL, mean = train.shape[1], range(3), 0.2, train.mean(axis=0)
PIXEL, COLORS = says.Gaussian(variance=S_PIXEL**2), {"PCA": "#7A5C00", "autoencoder": "#000000", "VAE": "#332288"}
space, rng = tv.evaluate, np.random.default_rng(0)


def error(model, x):
    return float(((x - model.reconstruct(x)) ** 2).sum(axis=1).mean())


def pca(K):
    model = tv.Autoencoder(D, K, hidden=(), likelihood=PIXEL)
    directions = np.linalg.svd(train - mean, full_matrices=False)[2][:K]  # K, D
    model.encoder.params["W0"][:], model.encoder.params["b0"][:] = directions.T, -directions @ mean
    model.decoder.params["W0"][:], model.decoder.params["b0"][:] = directions, mean
    return model


def fit(kind, K, seed, x=train, rate=1e-2, n_steps=1500):
    """Train; returns the model and, now and then, errors on x and on held-out images, and their loss."""
    model, seen = kind(D, K, hidden=(100, 100), likelihood=PIXEL, seed=seed), []
    settings = {"epochs": n_steps // -(-len(x) // 100), "batch_size": 100, "seed": seed, "optimizer": tv.Adam(rate)}
    for record in tv.train(model, x, **settings):
        if record.step in LOOKS:
            seen.append((error(model, x), error(model, test), model.held_out(test).loss))
    return model, np.array(seen)  # looks, 3


LOOKS = 20, 50, 100, 200, 350, 600, 900, 1500  # steps
KINDS = {"autoencoder": tv.Autoencoder, "VAE": tv.VAE}
runs = [(name, K, seed) for K in (2, 10) for name in KINDS for seed in SEEDS]
fitted = {(name, K, seed): fit(KINDS[name], K, seed, n_steps=1500 if K == 2 else 900) for name, K, seed in runs}
models = {("PCA", K, 0): pca(K) for K in (2, 10)} | {run: model for run, (model, _) in fitted.items()}
PAIRS = [(name, K) for K in (2, 10) for name in COLORS]


def of(values, name, K):
    """The values of all seeds."""
    return np.array([value for run, value in values.items() if run[:2] == (name, K)]).round(3)


# %% [markdown]
# ## Two numbers for an image
# With K = 2 the space is a sheet of paper. **Predict before you run:** for each test image take the training image
# with the nearest code. How often has it the right label? Nobody has shown a label to any of the three.

# %%
codes = {run: (space.codes(model, train), space.codes(model, test)) for run, model in models.items()}  # n, K each
copying = {run: error(model, test) for run, model in models.items()}
rows = {run: space.nearest(its_test, its_train)[0][:, 0] for run, (its_train, its_test) in codes.items()}  # 360 each
neighbour = {run: (labels[nearest] == test_labels).mean() for run, nearest in rows.items()}
for pair in PAIRS:
    print("{:<11} K = {:>2}:".format(*pair), f"error {of(copying, *pair)}, neighbours right {of(neighbour, *pair)}")
fig, axes = plt.subplots(1, 3, figsize=(12.5, 4.6), layout="constrained")
for ax, name in zip(axes, COLORS):
    z = (codes[name, 2, 0][1] - codes[name, 2, 0][1].mean(axis=0)) / codes[name, 2, 0][1].std(axis=0)  # 360, 2
    for (across, up), label in zip(z, test_labels):
        ax.text(across, up, label, color=plt.cm.tab10(label), fontsize=8, ha="center", va="center")
    ax.set(xlim=(-2.7, 2.7), ylim=(-2.7, 2.7), aspect="equal", xlabel="z₁, standard deviations")
    words = f"error {of(copying, name, 2).mean():.2f}, {100 * of(neighbour, name, 2).mean():.0f}% of neighbours right"
    ax.set(ylabel="z₂, standard deviations", title=f"{name}\n{words}")
fig.suptitle("Two bent numbers keep apart what two straight ones heap up")
fig.savefig(FIGURES / "11_two_numbers.png", dpi=130)

# %% [markdown]
# ## A map of the sheet
# Two bent numbers have 72 to 84% of the neighbours right, two straight ones 59%, ten of any kind 96% or more. To see
# the space, decode a grid of codes. Equal steps from -3 to 3 would be unfair: of a 20 x 20 grid, 53% lie outside the
# circle that holds 95% of N(0, I). Take steps of equal *probability* instead, with F the distribution function of
# N(0, 1): then each picture stands for as much of the prior as any other.
#
#     z_i = F^-1((i + 1/2) / n),   i = 0, ..., n - 1
#
# An autoencoder has no p(z). Give it one: move its codes to mean 0, mix and stretch them to covariance I, and let the
# decoder undo that. Its space is **whitened** then: N(0, I) stands for a Gaussian fitted to its codes.

# %%
equal = np.stack(np.meshgrid(*[np.linspace(-3, 3, 20)] * 2), axis=-1).reshape(-1, 2)  # 400, 2
by_mass = space.manifold(models["VAE", 2, 0], 20)  # 400, 2
outside = [float(((grid**2).sum(axis=1) > -2 * np.log(0.05)).mean()) for grid in (equal, by_mass)]
print(f"Outside the circle of 95%: {100 * outside[0]:.1f}% of equal steps, {100 * outside[1]:.1f}% of the other grid")
z = codes["autoencoder", 2, 0][0].astype("float64")  # 1437, 2
map_of = {"VAE, N(0, I)": (models["VAE", 2, 0], grid := space.manifold(models["VAE", 2, 0], 12))}  # 144, 2
grid = z.mean(axis=0) + grid @ np.linalg.cholesky(np.cov(z.T)).T  # 144, 2
map_of["autoencoder, whitened"] = models["autoencoder", 2, 0], grid.astype("float32")
fig, axes = plt.subplots(1, 2, figsize=(12, 6.3), layout="constrained")
for ax, (name, (model, grid)) in zip(axes, map_of.items()):
    tiles = np.pad(model.decode(grid).mean.reshape(12, 12, 8, 8), [(0, 0)] * 2 + [(0, 1)] * 2, constant_values=0.5)
    ax.imshow(tiles.swapaxes(1, 2).reshape(108, 108), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off(), ax.set_title(name)
fig.suptitle("144 codes, each standing for 1/144 of the draws: with two latents both maps are full of digits")
fig.savefig(FIGURES / "11_map.png", dpi=130)

# %% [markdown]
# ## What a slope costs
# Why should a VAE be smooth at all? Its KL sees mu and sigma, not the decoder. But the decoder gets mu + sigma eps. Let
# J_k be its slope along latent k, D numbers. For small sigma, g(mu + sigma eps) = g(mu) + Σ_k sigma_k eps_k J_k, so
# noise adds Σ_k sigma_k² ||J_k||² to the mean squared error, and what the loss says of sigma_k is
#
#     sigma_k² ||J_k||² / (2 s²) + ½ (sigma_k² - 1 - log sigma_k²)
#
# Differentiate with respect to sigma_k², set it to zero, put it in:
#
#     1 / sigma_k² = 1 + ||J_k||² / s²          a slope then costs ½ log(1 + ||J_k||² / s²) nats          (1)
#
# So noise is what punishes a slope, and the KL keeps the noise from going away. The price grows with a logarithm: at
# s = 0.2 a slope of 1 costs 1.63 nats, of 10 no more than 3.91. Cliffs are dear, not forbidden. And the left half can
# be checked: what the encoder says of sigma is s / √(s² + ||J_k||²), if it knows how steep the decoder is.

# %%
nudge, slopes, told = 0.01, {}, {}
for run in [("VAE", 10, seed) for seed in SEEDS]:
    q, delta, g = models[run].encode(test), nudge * np.eye(10, dtype="float32"), models[run].decode
    sides = [g(q.mean + delta[k]).mean - g(q.mean - delta[k]).mean for k in range(10)]  # K times n, D
    slopes[run] = np.linalg.norm(sides, axis=2).T / (2 * nudge)  # n, K
    told[run] = S_PIXEL * np.sqrt(np.maximum(np.exp(-q.params[:, 10:]) - 1, 0))  # n, K
slope_ratio = {run: float(np.median(told[run] / slopes[run])) for run in slopes}
agree = {run: float(np.corrcoef(told[run].ravel(), slopes[run].ravel())[0, 1]) for run in slopes}
print(f"||J_k||, told / measured: median {of(slope_ratio, 'VAE', 10)}, correlation {of(agree, 'VAE', 10)}")

# %% [markdown]
# ## Continuous and complete, as numbers
# z, z', z'' are draws from N(0, I), z'' a tenth of a standard deviation from z per axis; d², mean squared distances:
#
#     continuity   = c · d²(g(z), g(z')) / d²(g(z), g(z''))     with c such that it is 1 for an affine g
#     completeness = d²(held-out data, nearest of training data) / d²(g(z), nearest of training data)
#
# Any g that bends has a continuity below 1. Completeness is 1 where draws are as near to data as held-out images are;
# it likes blur: the average image, drawn always, has 0.49. PCA's continuity is 1 (but for the draws), and is cheap.
#
# **Predict before you run:** six pairs of numbers. What matters more for each of the two: autoencoder or VAE, or 2
# latents or 10?

# %%
continuity, completeness, errors = {}, {}, {}
for run, model in models.items():
    where = None if run[0] == "VAE" else codes[run][0]  # else the prior
    smooth = space.continuity(model, np.random.default_rng(1), where, 2000)  # the same draws for all models
    full = space.completeness(model, train, test, np.random.default_rng(2), where, 1000)
    continuity[run], completeness[run], errors[run] = smooth.value, full.value, (smooth.error, full.error)
held_out = (space.nearest(test, train)[1] ** 2).mean()
of_the_mean = float(held_out / (space.nearest(mean[None], train)[1] ** 2).mean())
for name, K in PAIRS:
    print(f"{name:<11} K = {K:>2}:", of(continuity, name, K), "continuity,", of(completeness, name, K), "completeness")
print(f"Standard errors of the draws: at most {np.max(list(errors.values())):.3f}. Average image: {of_the_mean:.2f}")
fig, axes = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
for name, K in PAIRS:
    marker = {"color": COLORS[name], "marker": "o" if K == 2 else "s", "ls": "", "ms": 9, "alpha": 0.8}
    axes[0].plot(of(continuity, name, K), of(completeness, name, K), **marker)
for (name, K), where in zip(PAIRS, ((0.85, 0.63), (0.02, 0.72), (0.36, 0.82), (0.94, 0.45), (0.62, 0.45), (0.7, 0.67))):
    axes[0].text(*where, f"{name}, K = {K}", color=COLORS[name])
axes[0].axhline(of_the_mean, color="0.6", ls=":"), axes[0].text(0.02, 0.46, "always the average image", color="0.3")
axes[0].set(xlim=(0, 1.1), ylim=(0.4, 1.05), xlabel="continuity", ylabel="completeness")
axes[0].set_title("More latents make a space smooth, the KL keeps it full")
axes[1].plot(slopes["VAE", 10, 0].ravel(), told["VAE", 10, 0].ravel(), ".", ms=2, color=COLORS["VAE"])
axes[1].axline((0, 0), slope=1, color="#E0115F", lw=1.5)
axes[1].set(xlim=(0, 1.3), ylim=(0, 1.3), xlabel="slope of the decoder, measured, grey per unit of z_k")
axes[1].set(ylabel="slope that sigma tells, s √(1/σ² - 1)", title="The encoder knows how steep the decoder is")
fig.savefig(FIGURES / "11_continuity.png", dpi=130)

# %% [markdown]
# The number of latents decides how continuous a space is, not the KL: to pass by all digits a sheet must fold
# (0.23 to 0.32), ten latents need not (0.76 to 0.81), and there the VAE is no smoother. But it is more complete: in two
# dimensions a whitened autoencoder is as full as a VAE, in ten its draws are no nearer to data than the average image
# (0.49), the VAE's are (0.63). Ten dimensions have room for codes that belong to nobody: all are emptier than in two.
#
# ## On a line between two codes
# A **cross-fade** of two images shows both, each half as strong. **Predict before you run:** is the middle of the line
# between their codes more like data? Take 1,000 pairs of test images of different digits, K = 10, and measure the
# middle as completeness does.

# %%
pairs = rng.integers(len(test), size=(2, 1200))
pairs = pairs[:, test_labels[pairs[0]] != test_labels[pairs[1]]][:, :1000]  # 2, 1000
shown = [[int(np.flatnonzero(test_labels == label)[0]) for label in ends] for ends in ((0, 1), (4, 8))]  # 2, 2
lines = {("cross-fade", 10, 0): lambda ends, n: space.interpolate(*test[ends], n)}
for run in models:
    z, g = codes[run][1], models[run].decode
    lines[run] = lambda ends, n, z=z, g=g: g(space.interpolate(*z[ends], n)).mean
drawn = {run: line(pairs, 3)[1::3] for run, line in lines.items() if run[1] == 10}  # 1000, D each
middles = {run: float(held_out / (space.nearest(images, train)[1] ** 2).mean()) for run, images in drawn.items()}
for name in ("cross-fade", *COLORS):
    print(f"middle of the line, K = 10, {name:<11} {of(middles, name, 10)}")
half = {K: np.cumprod([1, *(K / 4 / np.arange(1, K // 2))]).sum() * np.exp(-K / 4) for K in (2, 10, 50)}  # |z|² > K/2
print("Share of draws nearer to 0 than √(K/2):", ", ".join(f"{1 - half[K]:.4f} (K = {K})" for K in half))
fig, axes = plt.subplots(3, 1, figsize=(9.5, 5.6), layout="constrained")
for ax, name in zip(axes, ("cross-fade", *KINDS)):
    strips = lines[name, 10, 0](np.array(shown), 11).reshape(2, 11, 8, 8)
    tiles = np.pad(strips, [(0, 0)] * 2 + [(0, 1)] * 2, constant_values=1).swapaxes(1, 2).reshape(18, -1)
    ax.imshow(tiles[:-1, :-1], cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(f"{name}: in the middle {of(middles, name, 10).mean():.2f} as near to data as held-out images are")
fig.savefig(FIGURES / "11_lines.png", dpi=130)

# %% [markdown]
# All three beat the cross-fade, the VAE by most. PCA's middle is just the cross-fade's copy: its gain is blur, and most
# of the autoencoder's may be. But the middle of two draws from N(0, I) has a mean squared length of K/2, a draw has K:
# at K = 50 one draw in 800 lies that near to 0. The line leaves the codes.
#
# ## What ten labels a class can do
# A **probe** asks what a code says of something it was not made for: a linear classifier (logistic regression) on the
# codes, taught with ten labelled images of each digit, ten times over; the same labels on the pixels are the
# yardstick. **Predict before you run:** are 10 learnt numbers better than 64 pixels?

# %%
probes, data = {}, (train, labels, test, test_labels)
for name, K in PAIRS:
    found = space.probe(models[name, K, 0], *data, per_class=10, rng=np.random.default_rng(1), n_repeats=10)
    probes[name, K, 0], words = found, "{:.3f} ± {:.3f}, less pixels {:+.3f} ± {:.3f}".format(*found.codes, *found.gain)
    print(f"{name:<11} K = {K:>2}: right {words}")
print(f"pixels: right {(pixels := found.pixels.value):.3f}")

# %% [markdown]
# No. Ten learnt numbers, the autoencoder's or the VAE's, do as well as PCA's ten, and all three a little worse than the
# pixels. A code keeps what is dear in pixels, not what a label needs.
#
# ## Too little and too much
# A model **underfits** where it copies training and held-out images equally badly: more training or more width helps.
# It **overfits** where training images get better and held-out ones worse. Take 150 images in place of 1,437.

# %%
few = {pair: fit(KINDS[pair[0]], pair[1], 0, train[:150], 5e-3) for pair in (*PAIRS[4:], ("VAE", 40))}
for (name, K), (_, seen) in few.items():
    words = f"{seen[-1, 0]:.2f}, held out {seen[-1, 1]:.2f} (best {seen[:, 1].min():.2f})"
    print(f"150 images, {name:<11} K = {K}: error on them {words}; least held-out loss {seen[:, 2].min():.2f} nats")
print(f"Of the 40 latents {(in_use := space.active_units(few['VAE', 40][0], train).count)} are in use")
fig, axes = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained", sharey=True)
for ax, name in zip(axes, KINDS):
    for seen, color, words in ((few[name, 10][1], "#882255", "150"), (fitted[name, 10, 0][1], COLORS[name], "1,437")):
        ax.semilogx(LOOKS[: len(seen)], seen[:, 0], color=color, lw=2)
        ax.semilogx(LOOKS[: len(seen)], seen[:, 1], color=color, lw=2, ls="--")
        ax.text(LOOKS[len(seen) - 1] * 1.07, seen[-1, 1], f"{words} images,\nheld out", color=color, va="center")
    ax.text(1600, few[name, 10][1][-1, 0] + 0.1, "150 images,\ntrained on", color="#882255", va="center")
    ax.set(xlim=(20, 5000), ylim=(0, 3.5), xlabel="training step", title=f"{name}, K = 10")
axes[0].set_ylabel("error of a copy, grey²"), fig.suptitle("With 150 images both overfit, and the VAE less")
fig.savefig(FIGURES / "11_overfitting.png", dpi=130)

# %% [markdown]
# The autoencoder copies its 150 images all but perfectly (0.07), and the held-out ones worse from step 350 on. The VAE
# overfits, too, but later and less: the noise makes it hard to give each image a place of its own. With 1,437 images
# the two lines are all but one and both still fall: that is underfitting. Thirty latents more do no harm: of the 40
# only 10 are in use (the others' mu is the same for all images), and the held-out loss at its best is the same within
# a nat. The autoencoder's, -25, is not to be compared: there is no KL in it, so it is no bound.
#
# ## Faces without labels
# The Frey faces are 1,965 frames of one man's face, where `TINYVAE_DATA` has the file; without it this cell goes on
# with digits. They have no labels, so pixels stand in: for the **pose** the left half's brightness less the right
# half's, for the **smile** the contrast of the mouth's rows, the mean step from one to the next.

# %%
try:
    faces = tv.datasets.load("frey_faces")
except FileNotFoundError:
    faces = None
photos, sheet = digits, models["VAE", 2, 0]
if faces is not None:
    photos, sheet = faces, tv.VAE(560, 2, hidden=(100, 100), likelihood=says.Gaussian(variance=0.1**2))
    sheet.start_at(faces.train)
    list(tv.train(sheet, faces.train, epochs=50, batch_size=100, optimizer=tv.Adam(tv.schedules.Cosine(2e-3, 900))))
rows, columns = photos.image_shape
stack = photos.train.reshape(-1, rows, columns).astype("float64")  # n, rows, columns
mouth = stack[:, int(0.62 * rows) : int(0.9 * rows), columns // 5 : -(columns // 5)]
proxies = {"pose": stack[:, :, : columns // 2].mean(axis=(1, 2)) - stack[:, :, columns // 2 :].mean(axis=(1, 2))}
proxies["smile"] = np.abs(np.diff(mouth, axis=1)).mean(axis=(1, 2))  # n
z = space.codes(sheet, photos.train).astype("float64")  # n, 2
plane = np.c_[np.ones(len(z)), z, z**2, z[:, :1] * z[:, 1:]]  # n, 6: a parabola of the latents
fits = {name: plane @ np.linalg.lstsq(plane, proxy, rcond=None)[0] for name, proxy in proxies.items()}  # n each
told_by_code = {name: 1 - (proxy - fits[name]).var() / proxy.var() for name, proxy in proxies.items()}
kind = "faces" if faces else "digits"
print(kind, "explained by two latents:", {name: round(float(share), 2) for name, share in told_by_code.items()})
fig, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
images = sheet.decode(space.manifold(sheet, 8)).mean.reshape(8, 8, rows, columns).swapaxes(1, 2)
axes[0].imshow(images.reshape(8 * rows, -1), cmap="gray", vmin=0, vmax=1)
axes[0].set_axis_off(), axes[0].set_title("64 codes, each 1/64 of N(0, I)")
for ax, (name, proxy) in zip(axes[1:], proxies.items()):
    dots = ax.scatter(*z.T, c=proxy, s=6, cmap="viridis", vmin=np.quantile(proxy, 0.02), vmax=np.quantile(proxy, 0.98))
    fig.colorbar(dots, ax=ax, label=f"{name}'s proxy, grey")
    ax.set(xlabel="z₁", ylabel="z₂", title=f"{name}: {100 * told_by_code[name]:.0f}% explained by the code")
fig.suptitle(f"Two latents of {kind}, coloured by what pixels say")
fig.savefig(FIGURES / "11_proxies.png", dpi=130)

# %% [markdown]
# With the file: the head turns along the map, and two latents explain 64% of the pose's proxy, of the smile's 17%: it
# is a poor one, which sees shadow and teeth alike. The codes reach beyond -4: they are *not* N(0, I), KL or no KL.
#
# **Believed before:** an autoencoder's space has holes and cliffs; a VAE's is continuous and complete, because of its
# KL; and its codes are good features. **Believe now:** noise prices slopes, and the KL keeps the noise; but how smooth
# a space is depends more on its dimension. In two, whitening makes up for the KL, in ten it does not.
# **The number that changed it:** with ten latents completeness is 0.63 for the VAE and 0.49 for the whitened
# autoencoder, that of the average image; continuity is 0.77 and 0.80.
#
# **Sources:** Kingma & Welling 2014, appendix A (the map), figure 2 (superfluous latents); Kumar & Poole 2020 (noise as
# a price for slopes); White 2016 (straight lines in many dimensions); Alain & Bengio 2017 (probes).
#
# **Exercises:** `tinyvae exercise 11`
# 1. `equal_mass_codes`: the map's codes for any prior whose quantile function is given.
# 2. `whiten`: a matrix that gives codes mean 0 and covariance I, and one that undoes it.
# 3. `best_noise`: the best log-variances for a decoder's slopes, and what the slopes cost.

# %%
assert np.allclose(0.5 * np.log(1 + np.array([1, 100]) / S_PIXEL**2), (1.63, 3.91), atol=0.005)
assert abs(outside[0] - 0.53) < 0.005 and outside[1] < 0.03 and neighbour["PCA", 2, 0] < 0.62
assert all(abs(ratio - 1) < 0.05 for ratio in slope_ratio.values()) and min(agree.values()) > 0.85
for seed in SEEDS:
    for name in KINDS:
        assert copying[name, 2, seed] < 2.7 and copying[name, 10, seed] < 1.2 and neighbour[name, 2, seed] > 0.66
        assert continuity[name, 2, seed] < 0.45 < 0.65 < continuity[name, 10, seed] < 0.93 < neighbour[name, 10, seed]
    assert completeness["VAE", 10, seed] > completeness["autoencoder", 10, seed] + 5 * 0.02  # errors are .016 and .012
    assert middles["VAE", 10, seed] > 0.66 > middles["autoencoder", 10, seed] > middles["PCA", 10, 0] > 0.55
assert all(abs(continuity["PCA", K, 0] - 1) < 5 * errors["PCA", K, 0][0] for K in (2, 10))
assert abs(of(completeness, "VAE", 2).mean() - of(completeness, "autoencoder", 2).mean()) < 0.1
assert np.allclose([1 - half[K] for K in half], (0.3935, 0.1088, 0.0012), atol=5e-5)
for name in COLORS:
    assert -0.06 < probes[name, 10, 0].gain.value < 0.01 and probes[name, 2, 0].gain.value < -0.1
assert all(seen[-1, 0] < 0.5 and seen[-1, 1] > seen[:, 1].min() + 0.05 for _, seen in few.values())
assert few["autoencoder", 10][1][-1, 1] > few["VAE", 10][1][-1, 1] + 0.15
assert abs(few["VAE", 40][1][:, 2].min() - few["VAE", 10][1][:, 2].min()) < 1 and 7 < in_use < 14
assert faces is None or told_by_code["pose"] > 0.5 > told_by_code["smile"]
ends = [of(values, name, 10).mean() for values in (completeness, continuity) for name in ("VAE", "autoencoder")]
assert np.allclose([*ends, of_the_mean], (0.63, 0.49, 0.77, 0.80, 0.49), atol=0.05) and ends[2] < ends[3] + 0.02
words = "completeness {:.2f} (VAE), {:.2f} (autoencoder), continuity {:.2f}, {:.2f}".format(*ends)
print(f"Headline: ten latents: {words}; ten labels a class: {found.codes.value:.2f} right, by pixels {pixels:.2f}.")
