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
STEPS_AN_EPOCH = -(-len(train) // 100)
SNAPSHOTS = (0, 1, 3, 10, 30)  # epochs after which the reparameterization's parameters are kept
models, curves, snapshots = {}, {}, {}
for name in [*NAMES, "no_gradient"]:
    vae = tv.VAE(n_features=64, n_latents=K, hidden=(100,), seed=0)
    estimator = no_gradient if name == "no_gradient" else name
    curves[name] = [(0, *tv.evaluate.bound(vae, test, n_samples=5))]
    if name == "reparameterization":
        snapshots[0] = vae.theta.copy()
    adam = tv.Adam(3e-3)
    for record in tv.train(vae, train, estimator, optimizer=adam, n_samples=S, epochs=N_EPOCHS, batch_size=100, seed=0):
        if record.step % STEPS_AN_EPOCH == 0:
            curves[name].append((record.step, *tv.evaluate.bound(vae, test, n_samples=5)))
            if name == "reparameterization" and record.epoch in SNAPSHOTS:
                snapshots[record.epoch] = vae.theta.copy()
    models[name] = vae

final = {name: losses_by_image(vae, test) for name, vae in models.items()}  # 360 each
print(f"After {record.step} steps, nats a test image:")
print(f"{'':<20}{'loss':>8} = {'reconstruction':>14} + {'KL':>5}")
for name in models:
    kl = models[name].encode(test).kl().mean()
    print(f"{LABELS[name]:<20}{final[name].mean():8.2f} = {final[name].mean() - kl:14.2f} + {kl:5.2f}")
print(f"{'no code at all':<20}{without_code.mean():8.2f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for name in models:
    step, loss, reconstruction, kl = np.array(curves[name]).T
    style = {"color": COLORS[name], "ls": "--" if name == "no_gradient" else "-", "label": LABELS[name]}
    axes[0].plot(step, loss, **style)
    axes[1].plot(step, kl, **style)
axes[0].axhline(without_code.mean(), color="black", lw=1, ls=":")
axes[0].text(record.step, without_code.mean() - 0.15, "no code at all", ha="right", va="top", fontsize=9)
axes[0].set(ylim=(23, 36), xlabel="step", ylabel="loss, nats a test image (lower is better)", title="the bound")
axes[1].set(ylim=(0, 9), xlabel="step", ylabel="KL(q || p), nats a test image", title="what the code costs")
axes[0].legend(frameon=False)
fig.savefig(FIGURES / "08_training.png", dpi=130)
reached = next(step for step, loss, *_ in curves["reparameterization"] if loss <= final["score_function"].mean())
print(f"The reparameterization is past the score function's final loss after {reached} steps.")

# %% [markdown]
# The score function does worse than *no code at all*, and worse than the control, whose encoder soon says
# nothing (its KL is zero). Do the accounts. The reparameterization pays 4.6 nats for its code, and saves 7.6
# nats of reconstruction with it (27.06 - 19.50): a good bargain. The score function pays 5.9 and saves 4.9.
# Its gradient is right on average, but each step's noise shakes the encoder's weights, and what is shaken
# into them costs KL without telling the decoder anything. Leave-one-out, which differs in one line, learns
# well and trails by 0.9 nats.
#
# (The score function is not stuck, only slow. After twice as many steps it is at 27.6 nats, nearly where no
# code would be; and with 60 samples an image instead of 2 it gets to 24.7 nats in the same number of steps,
# for thirty times the work.)
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
    reports[epoch] = tv.variance.measure(place, batch, NAMES, n_draws=200, n_samples=S, seed=0, n_timings=n_timings)


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
rows = [("original", test[shown])] + [(LABELS[name], models[name].reconstruct(test[shown])) for name in models]
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
# noise, after 450 steps, the reparameterization is at **24.1** nats an image, leave-one-out at **25.0**, and
# the score function at **28.1**: worse than no code at all, 27.0.
#
# Differences between models are taken image by image, so their standard errors are small; each must be more
# than five of them.


# %%
def difference(worse, better):
    """Mean of worse - better over the test images, and its standard error, nats."""
    gap = worse - better  # 360
    return gap.mean(), gap.std() / np.sqrt(len(gap))


pairs = (
    ("leave_one_out", "reparameterization"),
    ("score_function", "leave_one_out"),
    ("score_function", "no code at all"),
)
for worse, better in pairs:
    gap, error = difference(final[worse], final.get(better, without_code))
    print(f"{LABELS[worse]} - {LABELS.get(better, better)}: {gap:.2f} ± {error:.2f} nats a test image")
    assert gap > 5 * error

for name, low, high in (("score_function", 600, 2000), ("leave_one_out", 20, 50)):
    factor = tv.variance.ratio(last[name], last["reparameterization"], "encoder")
    print(f"{LABELS[name]} / reparameterization, variance: {factor.value:.0f} [{factor.low:.0f}, {factor.high:.0f}]")
    assert low < factor.low and factor.high < high
assert abs(predicted / found.value - 1) < 0.25
losses = ", ".join(f"{LABELS[name]} {final[name].mean():.1f}" for name in NAMES)
print(f"Headline: {losses}; no code at all {without_code.mean():.1f} nats a test image.")
