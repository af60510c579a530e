"""Side by side: one autoencoder, three ways to train it

Question: on real handwritten digits, from the same start, with the same minibatches and the same noise, what difference
does the gradient estimator make, and why?

The variance of lessons 04 and 05 now decides whether a network learns.
"""

# %% [markdown]
# ## The model in five lines
# A **variational autoencoder** describes an image x by a short code z, and learns two networks at once. The
# *encoder* turns x into a Gaussian over codes, q(z | x) = N(μ(x), σ(x)²). The *decoder* turns a code into a
# probability for each pixel, p(x | z). A good code is one from which x is probable, and which does not stray
# from the standard normal, p(z), for no reason:
#
#     loss(x) = E_{z ~ q(z|x)}[ -log p(x | z) ] + KL(q(z | x) || p(z))        nats an image
#                └─ f(z), reconstruction ────┘   └─ the code's cost, exact ─┘
#
# The loss is an upper bound on -log p(x) (its negative is the ELBO, the evidence lower bound): lower is
# better. The KL of two Gaussians has a formula, and so has its gradient. The decoder's gradient is a plain
# average over samples. Only one thing is hard, and we know it from lesson 04: the gradient of E_q[f(z)] with
# respect to the parameters μ and logvar = log σ² that the encoder puts out. Everything before and behind it
# is backpropagation, the same for all estimators.
#
# Shapes: S samples an image, B images, D = 64 pixels, K = 20 dimensions of the code.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
COLORS = {
    "reparameterization": "#0072B2",
    "leave_one_out": "#009E73",
    "score_function": "#D55E00",
    "no_gradient": "#555555",
}
NAMES = ["reparameterization", "leave_one_out", "score_function"]
LABELS = dict(zip(COLORS, ("reparameterization", "leave-one-out", "score function", "no gradient of f")))
K, S = 20, 2  # two samples an image, because leave-one-out needs another sample for its baseline
rng = np.random.default_rng(0)

# %% [markdown]
# The data are 8 x 8 grey digits. A decoder that gives each pixel a probability of being white describes
# black-and-white images, so each pixel is drawn once, white with probability its grey level.

# %%
digits = tv.datasets.load("digits")
train = tv.datasets.binarize(digits.train, rng)  # 1437, D
test = tv.datasets.binarize(digits.test, rng)  # 360, D

# %% [markdown]
# A yardstick: how good is a model without a code? It gives every pixel its average over the training images,
# and is exact, with no gradient to estimate. An autoencoder that does worse than this has a code that does
# harm.

# %%
average = train.mean(axis=0).clip(0.001, 0.999)  # D
without_code = -(test * np.log(average) + (1 - test) * np.log(1 - average)).sum(axis=1)  # 360
print(f"Without a code: {without_code.mean():.2f} nats a test image")

# %% [markdown]
# ## Train
# `tv.train` draws minibatches and noise from its seed alone, so that every estimator sees the same ones;
# `tv.VAE` draws its initial weights from its own. Only the estimator differs. It may be a name, or any
# function with the estimators' signature. We add one that is wrong on purpose, as a control: it says that the
# gradient of E[f] is zero, so that the encoder only hears of the KL.
#
# One run shows what happened once. So each of the three runs with eight seeds.


# %%
def no_gradient(q, target, eps, objective=None, rng=None):
    draws = tv.estimators.score_function(q, target, eps, objective, rng)  # f: S, B; dparams: S, B, 2K
    return tv.Draws(draws.f, np.zeros_like(draws.dparams))


def losses_by_image(vae, images, n_samples=10):
    """Each image's loss, the same noise for every model."""
    q = vae.encode(images)
    z = q.sample(q.noise(np.random.default_rng(1), n_samples))  # n_samples, B, K
    f = np.array([-vae.decode(code).log_prob(images.astype("float32")) for code in z])  # n_samples, B
    return f.mean(axis=0) + q.kl()  # B


N_EPOCHS = 30
SEEDS = range(8)  # of the initial weights, the minibatches and the noise
LOOKS = (1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 30)  # epochs after which the test images are tried
STEPS_AN_EPOCH = -(-len(train) // 100)
SNAPSHOTS = (0, 1, 3, 10, 30)  # epochs after which the reparameterization's parameters are kept, of the first seed
models, curves, snapshots = {}, {}, {}
for seed in SEEDS:
    for name in [*NAMES, "no_gradient"] if seed == 0 else NAMES:
        vae = tv.VAE(n_features=64, n_latents=K, hidden=(100,), seed=seed)
        estimator = no_gradient if name == "no_gradient" else name
        curve = [(0, *tv.evaluate.bound(vae, test, n_samples=5))]
        keep = name == "reparameterization" and seed == 0
        if keep:
            snapshots[0] = vae.theta.copy()
        settings = {"n_samples": S, "epochs": N_EPOCHS, "batch_size": 100, "seed": seed}
        for record in tv.train(vae, train, estimator, optimizer=tv.Adam(3e-3), **settings):
            if record.step % STEPS_AN_EPOCH == 0 and record.epoch in LOOKS:
                curve.append((record.step, *tv.evaluate.bound(vae, test, n_samples=5)))
                if keep and record.epoch in SNAPSHOTS:
                    snapshots[record.epoch] = vae.theta.copy()
        models[name, seed], curves[name, seed] = vae, np.array(curve)

final = {run: losses_by_image(vae, test) for run, vae in models.items()}  # 360 each
ends = {name: np.array([loss.mean() for (who, _), loss in final.items() if who == name]) for name in COLORS}  # seeds
costs = {
    name: np.mean([vae.encode(test).kl().mean() for (who, _), vae in models.items() if who == name]) for name in COLORS
}
print(f"After {record.step} steps, nats a test image, mean of {len(SEEDS)} seeds (the control: of one):")
print(f"{'':<20}{'loss':>8} = {'reconstruction':>14} + {'KL':>5}{'loss, from - to':>20}")
for name, loss in ends.items():
    line = f"{loss.mean():8.2f} = {loss.mean() - costs[name]:14.2f} + {costs[name]:5.2f}"
    print(f"{LABELS[name]:<20}{line}{loss.min():12.2f} - {loss.max():.2f}")
print(f"{'no code at all':<20}{without_code.mean():8.2f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for (name, seed), curve in curves.items():
    step, loss, reconstruction, kl = curve.T
    style = {"color": COLORS[name], "ls": "--" if name == "no_gradient" else "-", "lw": 1.2, "alpha": 0.7}
    axes[0].plot(step, loss, **style, label=LABELS[name] if seed == 0 else None)
    axes[1].plot(step, kl, **style)
axes[0].axhline(without_code.mean(), color="black", lw=1, ls=":")
axes[0].text(record.step, without_code.mean() - 0.15, "no code at all", ha="right", va="top", fontsize=9)
axes[0].set(ylim=(23, 36), xlabel="step", ylabel="loss, nats a test image (lower is better)", title="the bound")
axes[1].set(ylim=(0, 9), xlabel="step", ylabel="KL(q || p), nats a test image", title="what the code costs")
axes[0].legend(frameon=False, title="a line: a seed")
fig.savefig(FIGURES / "08_training.png", dpi=130)
reached = [
    next(step for step, loss, *_ in curves["reparameterization", seed] if loss <= ends["score_function"][seed])
    for seed in SEEDS
]
print(
    "The reparameterization is seen past the score function's final loss "
    f"after {min(reached):.0f} to {max(reached):.0f} steps."
)

# %% [markdown]
# The score function does worse than *no code at all*, and worse than the control, whose encoder soon says
# nothing (its KL is zero). By how much depends on the seed: by 0.1 nats in one run, by 1.4 in another, by 0.9
# ± 0.4 on average. The order of the three does not, it is the same in every run. Do the accounts, in means
# over the seeds. The reparameterization pays 4.5 nats for its code, and saves 7.5 nats of reconstruction with
# it (27.0 - 19.5): a good bargain. The score function pays 5.9 and saves 5.0. Its gradient is right on
# average, but each step's noise shakes the encoder's weights, and what is shaken into them costs KL without
# telling the decoder anything. Leave-one-out, which differs in one line, learns well and trails by 0.8 nats.
#
# (The score function is not stuck, only slow. After twice as many steps the same eight runs are at 27.1 to
# 27.6 nats, nearly where no code would be; and with 60 samples an image instead of 2 three of them get to 24.8
# or 24.9 nats in the same number of steps, for thirty times the work.)
#
# ## Measure at the same parameters
# The three networks are in different places now, and variance belongs to a place. So go back along *one*
# path, the reparameterization's, and let all three estimators speak at each snapshot, on the same 50 images
# and the same noise, 200 times. `tv.variance.measure` gives the variance of the gradient of the encoder's
# weights, summed over all of them, and the signal-to-noise ratio snr = ‖mean‖ / √variance. The ratio has a
# picture: arctan(1 / snr) is the typical angle between an estimate and the true gradient. At 90° it is a
# random direction.

# %%
batch = train[:50]  # B, D
place = tv.VAE(n_features=64, n_latents=K, hidden=(100,), seed=0)
reports = {}
for epoch in SNAPSHOTS:
    place.theta[:] = snapshots[epoch]
    n_timings = 21 if epoch == SNAPSHOTS[-1] else 0
    settings = {"n_draws": 200, "n_samples": S, "seed": 0, "blocks": ("mu", "encoder")}
    reports[epoch] = tv.variance.measure(place, batch, NAMES, n_timings=n_timings, **settings)


def angle(snr):
    return np.degrees(np.arctan2(1, snr))


print("Encoder's weights: variance with its 95% interval, signal-to-noise ratio, angle to the true gradient")
for epoch, report in reports.items():
    for name in NAMES:
        variance, snr, _ = report[name].total["encoder"]
        print(
            f"epoch {epoch:2d}  {LABELS[name]:<20}{variance.value:10.2f} [{variance.low:8.2f}, {variance.high:8.2f}]"
            f"{snr.value:8.3f}{angle(snr.value):7.1f}°"
        )

# The last place once more, for each of the seeds: their networks differ.
ending = [
    tv.variance.measure(models["reparameterization", seed], batch, NAMES, n_timings=0, **settings) for seed in SEEDS
]

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
x = np.arange(len(SNAPSHOTS))
for name in ("score_function", "leave_one_out", "reparameterization"):
    totals = [report[name].total["encoder"] for report in reports.values()]
    variances, snrs = (
        np.array([getattr(total, what) for total in totals]).T for what in ("variance", "snr")
    )  # 3, snapshots
    for ax, (value, low, high) in ((axes[0], variances), (axes[1], angle(snrs))):
        ax.plot(x, value, "o-", ms=4, color=COLORS[name], label=LABELS[name])
        ax.fill_between(x, low, high, color=COLORS[name], alpha=0.3, lw=0)
axes[0].set(yscale="log", ylabel="total variance, encoder weights, (nats / weight)²", title="noise")
axes[1].set(
    ylim=(0, 92), yticks=range(0, 91, 15), ylabel="typical angle to the true gradient, degrees", title="direction"
)
axes[1].axhline(90, color="black", lw=0.8, ls=":")
for ax in axes:
    ax.set_xticks(x, SNAPSHOTS)
    ax.set_xlabel("epochs trained (by reparameterization)")
axes[1].legend(frameon=False, loc="lower right", title="band: 95% interval")
fig.savefig(FIGURES / "08_variance.png", dpi=130)

# %% [markdown]
# ## Why
# The score function multiplies the score by f, and f is some 20 nats for *every* code z: most pixels cost
# what they cost. Only the differences between codes carry information, and they are a few nats. Leave-one-out
# multiplies by differences. This predicts the ratio of their variances without looking at a gradient. With
# f's mean m and variance v over codes, and S = 2,
#
#     score function:  E[f²] = m² + v        leave-one-out:  E[(f(z_1) - f(z_2))²] = 2v        ratio ≈ (m² + v) / 2v
#
# averaged over images.

# %%
place.theta[:] = snapshots[30]
q = place.encode(batch)
z = q.sample(q.noise(rng, 1000))  # 1000, B, K
f = np.array([-place.decode(code).log_prob(batch.astype("float32")) for code in z])  # 1000, B
m, v = f.mean(axis=0), f.var(axis=0)  # B; B
predicted = (m**2 + v).mean() / (2 * v).mean()
last = reports[30]
found = tv.variance.ratio(last["score_function"], last["leave_one_out"], "mu")
print(f"f = {m.mean():.1f} ± {np.sqrt(v.mean()):.1f} nats")
print(f"ratio predicted {predicted:.1f}, measured {found.value:.1f} [{found.low:.1f}, {found.high:.1f}]")

fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
one = f[:, 0]  # 1000
bins = np.arange(-12, 31, 1.0)
for values, name, label in (
    (one, "score_function", "score function: f(z)"),
    (one[0::2] - one[1::2], "leave_one_out", "leave-one-out: f(z₁) - f(z₂)"),
):
    label = f"{label} = {values.mean():.1f} ± {values.std():.1f}"
    ax.hist(values, bins, density=True, histtype="stepfilled", color=COLORS[name], alpha=0.45)
    ax.hist(values, bins, density=True, histtype="step", color=COLORS[name], label=label)
ax.axvline(0, color="black", lw=0.8)
ax.set(
    xlabel="what multiplies the score, nats (one training image, 1,000 codes)",
    ylabel="probability density",
    ylim=(0, 0.27),
)
ax.legend(frameon=False)
fig.savefig(FIGURES / "08_why.png", dpi=130)

# %% [markdown]
# A baseline removes what all codes share. The rest is lesson 05's second dial: one number, the difference of
# two losses, must serve all 2K = 40 parameters of an image, and tells none of them which one earned it. The
# decoder's backward pass gives the reparameterization a separate slope for each coordinate of z. That is the
# remaining factor.
#
# ## What does it cost?
# The slope is not free: the decoder must be run backward. Averaging n gradients divides the variance by n and
# takes n times as long, so variance x time is the price of precision. Training needs the decoder's backward
# pass anyway, for its own weights, so the whole step is the fair measure. (Times differ from machine to
# machine.)

# %%
print(f"{'':<20}{'ms: gradient':>14}{'whole step':>12}{'variance x ms a step':>22}{'to the best':>12}")
best = min(report.variance_times_cost("encoder", "step_milliseconds").value for report in last.values())
for name, report in last.items():
    price = report.variance_times_cost("encoder", "step_milliseconds").value
    print(
        f"{LABELS[name]:<20}{report.milliseconds:14.2f}{report.step_milliseconds:12.2f}"
        f"{price:22.1f}{price / best:11.0f}x"
    )

# %% [markdown]
# ## See it
# Test images, and what each model makes of them: encode, take the mean code, decode.

# %%
shown = [int(np.flatnonzero(digits.test_labels == label)[0]) for label in range(10)]
rows = [("original", test[shown])] + [(LABELS[name], models[name, 0].reconstruct(test[shown])) for name in COLORS]
fig, axes = plt.subplots(len(rows), 10, figsize=(9, 4.4), layout="constrained")
for line, (label, images) in zip(axes, rows):
    for ax, image in zip(line, images):
        ax.imshow(image.reshape(digits.image_shape), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(label, rotation=0, ha="right", va="center")
fig.savefig(FIGURES / "08_reconstructions.png", dpi=130)

# %% [markdown]
# ## The headline
# At the same parameters (30 epochs), the score function's gradient has about a **thousand** times the
# reparameterization's variance, leave-one-out's about **thirty** times. With the same start, minibatches and
# noise, after 450 steps, the reparameterization is at **24.0** nats an image, leave-one-out at **24.8**, and
# the score function at **27.9**, means of eight seeds. That is **0.9 ± 0.4** nats worse than no code at all,
# 27.0.
#
# Two errors, for two questions. Did this run's model do better than that one's, on images like these? Their
# difference is taken image by image, so that its standard error is small; in each run it must be more than
# five of them. And is it so in general, with any seed? That only the spread over seeds can say: the interval
# of the mean over eight of them must leave out zero.


# %%
def over_seeds(differences):
    """The mean of eight runs' differences, and half its 95% interval (Student's t, 7 degrees of freedom), nats."""
    return np.mean(differences), 2.365 * np.std(differences, ddof=1) / np.sqrt(len(differences))


for worse, better in (("leave_one_out", "reparameterization"), ("score_function", "leave_one_out")):
    gaps = np.array([final[worse, seed] - final[better, seed] for seed in SEEDS])  # seeds, 360
    errors = gaps.std(axis=1) / np.sqrt(gaps.shape[1])  # a standard error a run, over images
    mean, reach = over_seeds(gaps.mean(axis=1))
    print(f"{LABELS[worse]} - {LABELS[better]}: {mean:.2f} ± {reach:.2f} nats a test image")
    assert (gaps.mean(axis=1) > 5 * errors).all()  # in every run
harm = ends["score_function"] - without_code.mean()
mean, reach = over_seeds(harm)
each = ", ".join(f"{value:.2f}" for value in harm)
print(f"score function - no code at all: {mean:.2f} ± {reach:.2f} nats a test image; run by run {each}")
assert mean > reach

for name, low, high in (("score_function", 600, 2000), ("leave_one_out", 20, 50)):
    factors = [tv.variance.ratio(report[name], report["reparameterization"], "encoder") for report in ending]
    each = ", ".join(f"{factor.value:.0f}" for factor in factors)
    print(f"{LABELS[name]} / reparameterization, variance, seed by seed: {each}")
    assert all(low < factor.low and factor.high < high for factor in factors)
assert abs(predicted / found.value - 1) < 0.25
losses = ", ".join(f"{LABELS[name]} {ends[name].mean():.1f}" for name in NAMES)
print(f"Headline: {losses}; no code at all {without_code.mean():.1f} nats a test image.")
