"""Control variates: from a constant to a trained surrogate

Question: the score function is noisy because it looks at f's size. What may be subtracted from f, how quiet does each
choice make the estimate, and what does it cost?

Everything is exact first, on a bowl where the answers are known, and then measured on a network.
"""

# %% [markdown]
# Lessons 04 and 05 have the two basic estimators of d/dλ E_q[f(z)], with λ = [μ, logvar] and z = μ + σ ε:
#
#     score function:      f(z) · h(z),  h = d log q(z)/dλ     noisy, needs values of f only
#     reparameterization:  f'(z) · dz/dλ                       quiet where f is smooth, needs the slope
#
# This lesson is about making the first one quiet. Shapes: S samples, B distributions side by side, K dimensions of
# z.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import check, plots

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
LABELS = {
    "score_function": "none",
    "constant_baseline": "one constant, for all",
    "moving_average": "moving average",
    "input_dependent": "input-dependent",
    "leave_one_out": "leave-one-out",
    "optimal_constant": "optimal constant",
    "relax": "trained surrogate (relax)",
    "delta_method": "delta method",
    "reparameterization": "(reparameterization)",
}
rng = np.random.default_rng(0)

k = -3.0
bowl = tv.Target(lambda z: ((z - k) ** 2).sum(axis=-1), lambda z: 2 * (z - k))
q = tv.DiagonalGaussian(np.array([[1.0]]), np.array([[0.0]]))  # μ = σ = 1: the gradient for μ is 2 (μ - k) = 8


def exact(estimator, q=q, target=bowl, n_samples=1, n_nodes=40):
    """The exact mean and variance of an n_samples estimate of d/dμ, (B,) each, by quadrature over its noise."""
    mean, variance = check.exact_mean(estimator, q, target, n_samples=n_samples, n_nodes=n_nodes)  # B, 2 each
    return mean[:, 0], variance[:, 0]


# %% [markdown]
# ## Why subtracting helps
# Let g be a noisy estimate and c any random number that comes with it and whose mean is *known*. Then
#
#     g - β (c - E[c])
#
# has the same mean as g for every β, and its variance is a parabola in β:
#
#     Var[g] - 2 β Cov[g, c] + β² Var[c],     smallest at β* = Cov[g, c] / Var[c],  where (1 - ρ²) Var[g] is left
#
# with ρ the correlation of g and c. A **control variate** is as good as it is correlated with the noise. Which
# random numbers have a known mean? The score itself: E[h] = 0 (lesson 04). With c = h this is the **baseline**, (f
# - b) h, with b for β.

# %%
nodes, weights = check.gauss_hermite(40, 1)  # n, 1; n
z = q.sample(nodes[:, None])  # n, 1, 1
f, h = bowl(z)[:, 0], q.score(z)[:, 0, 0]  # n; n: the score for μ
g = f * h
covariance, variance_h, variance_g = weights @ (g * h), weights @ h**2, weights @ g**2 - (weights @ g) ** 2
best_b, rho = covariance / variance_h, covariance / np.sqrt(variance_h * variance_g)
spot = {b: exact(tv.estimators.make("constant_baseline", value=b))[1][0] for b in (0.0, weights @ f, best_b)}
print(f"gradient {weights @ g:.0f}; correlation of f h with h: ρ = {rho:.3f}; best b = E[f h²] / E[h²] = {best_b:.0f}")
for b, variance in spot.items():
    print(f"b = {b:4.1f}: variance {variance:.1f}")
print(f"(1 - ρ²) {variance_g:.0f} = {(1 - rho**2) * variance_g:.1f}")

# %% [markdown]
# No constant gets below 134, and the reparameterization has 4. To get further, subtract a *function*: take any c(z)
# with a known derivative of E_q[c], and write
#
#     d/dλ E_q[f] = E_q[ (f(z) - c(z)) h(z) ] + d/dλ E_q[c]
#
# Nothing is assumed about c, so a bad one costs variance, never bias. The closer c follows f, the less is left to
# be noisy. All that follows is one of these two lines.
#
# ## What may not be subtracted
# The rule has a small print: b must not depend on the sample that it is subtracted from. In practice it is broken
# in three ways. Each looks harmless, since the variance goes down.
#
# **One: the own sample in the baseline.** S samples, b = their mean, the sample's own f included. Then f_s - b = (1
# - 1/S) (f_s - mean of the others), which is leave-one-out, shrunk: the estimate is (S - 1)/S times too small.


# %%
def own_sample(q, target, eps, objective=None, rng=None):
    """Biased on purpose: the mean of all samples as each one's baseline."""
    z = q.sample(eps)  # S, B, K
    f = target(z)  # S, B
    return tv.Draws(f, (f - f.mean(axis=0))[..., None] * q.score(z))


print("The gradient is 8.    own sample included       leave-one-out")
shrunk = {}
for S in (2, 4, 8):
    (shrunk[S],), (variance,) = exact(
        own_sample, n_samples=S, n_nodes=4
    )  # polynomials of degree 6 at most: 4 nodes are exact
    (mean,), (variance_loo,) = exact("leave_one_out", n_samples=S, n_nodes=4)
    print(f"S = {S}: mean, variance   {shrunk[S]:8.4f} {variance:8.2f}    {mean:14.4f} {variance_loo:8.2f}")

# %% [markdown]
# (At S = 2 even the mean square error is lower, 4² + 33.5 against 134. But averages do not cure a bias.)
#
# In training one would never know: a gradient that is too small by a constant factor is a smaller learning rate.
# (It stops being one as soon as an exact term, the KL, is added to it.) So ask for a certificate. `check.unbiased`
# compares an estimator's mean with the exact gradient, and answers with a stated error rate.

# %%
certificate = check.unbiased(own_sample, problems=check.default_problems()[:1], n_samples=(4,), bias=0.2)
print(certificate.report())

# %% [markdown]
# **Two: antithetic pairs with leave-one-out.** Noise in pairs, ε and -ε, is a good idea (see below). But then one
# of the "other" samples is the sample's own mirror image. For two pairs, S = 4, a third of the baseline is f(μ -
# σε), which depends on ε; the estimate becomes 1 + 1/(S - 1) times too *large*. Three lines of quadrature show it,
# and the package refuses the combination.


# %%
def mean_with_pairs(estimator, n_samples):
    """The exact mean of the d/dμ estimate from n_samples / 2 antithetic pairs."""
    half, weights = check.gauss_hermite(4, n_samples // 2)  # 4^(S/2), S/2
    eps = np.concatenate([half, -half], axis=1).T[..., None]  # S, B = 4^(S/2), 1
    many = tv.DiagonalGaussian(np.ones((len(half), 1)), np.zeros((len(half), 1)))
    return weights @ estimator(many, bowl, eps).dmu.mean(axis=0)[:, 0]


paired = {S: mean_with_pairs(tv.estimators.leave_one_out, S) for S in (2, 4, 8)}
for S, mean in paired.items():
    plain = mean_with_pairs(tv.estimators.score_function, S)
    print(f"S = {S}, antithetic noise: leave-one-out has mean {mean:.4f}, the score function {plain:.4f}")
try:
    tv.noise.require_compatible(tv.noise.antithetic, tv.estimators.leave_one_out)
except ValueError as refusal:
    print("ValueError:", refusal)

# %% [markdown]
# **Three: the best b, estimated from the samples that it will be subtracted from.** b* = E[f h²] / E[h²] is best,
# and its estimate from all S samples is biased: it contains f_s h_s². Leaving out sample s, as `optimal_constant`
# does, keeps it unbiased. Here we sample, with standard errors.


# %%
def own_optimum(q, target, eps, objective=None, rng=None):
    """Biased on purpose: the optimal constant estimated from all samples."""
    z = q.sample(eps)  # S, B, K
    f, h = target(z), q.score(z)  # S, B; S, B, 2K
    b = (f[..., None] * h * h).sum(axis=0) / (h * h).sum(axis=0)  # B, 2K
    return tv.Draws(f, (f[..., None] - b) * h)


reports = tv.variance.measure_target(
    q, bowl, [own_optimum, "optimal_constant"], n_draws=20_000, n_samples=8, n_timings=0
)
own, others = (
    (report.mean["mu"][0, 0], np.sqrt(report.variance["mu"][0, 0] / report.n_draws)) for report in reports.values()
)
print(f"S = 8, b* from all samples {own[0]:.3f} ± {own[1]:.3f}, from the others {others[0]:.3f} ± {others[1]:.3f}")

# %% [markdown]
# ## The ladder
# Now the estimators, on a problem that can tell them apart: nine data points side by side, q_i = N(μ_i, 1) with μ_i
# = -3, -2, ... 5, and the same bowl f(z) = (z + 3)². The level of f differs from point to point: E[f] runs from 1
# to 65, as it does for easy and hard images.
#
# - **one constant** for all points (the best one, here).
# - **moving average** of past values of f. It learns E[f], averaged over points.
# - **input-dependent**: a small network b(x) of what the encoder says about the point, [μ_i, logvar_i], trained to
#   predict f.
# - **leave-one-out**, **optimal constant**: from the point's other samples; nothing to train, S ≥ 2.
# - **delta method**: c(z) is f's Taylor parabola at μ, E_q[c] is known. Needs slopes at and around μ.
# - **trained surrogate** (relax): c(z) is a small network of z and [μ_i, logvar_i]. The derivative of E_q[c] comes
#   from the reparameterization, c'(z) · dz/dλ, so f needs no slope, only c does. It is trained to make the
#   estimate's square small.
#
# The trained ones learn from the samples they see, S = 8 a point, *after* each estimate (trap one!). Their noise is
# an argument too, so that at any time their exact variance is one quadrature away.

# %%
mu = np.arange(-3.0, 6.0)[:, None]  # B, 1
points = tv.DiagonalGaussian(mu, np.zeros_like(mu))
S, n_updates = 8, 2000
stages = np.unique(np.geomspace(1, n_updates, 24).astype(int))
learners = {
    "moving_average": tv.estimators.make("moving_average", decay=0.99),
    "input_dependent": tv.estimators.make("input_dependent", hidden=(32,), rate=1e-2),
    "relax": tv.estimators.make("relax", hidden=(32,), rate=1e-2),
}
gradient = 2 * (mu[:, 0] - k)  # B
learning = {name: [] for name in learners}
for name, estimator in learners.items():
    noise = np.random.default_rng(1)
    for update in range(1, n_updates + 1):
        estimator(points, bowl, points.noise(noise, S))
        estimator.update()
        if update in stages:
            mean, variance = exact(estimator, points)  # B; B
            assert np.allclose(mean, gradient, rtol=1e-3, atol=2e-2)  # unbiased at every stage
            learning[name].append(variance.mean())

a = mu[:, 0] - k  # B
best_each = a**2 + 3  # B: b* of each point (lesson 04)
ladder = {
    "score_function": exact("score_function", points)[1].mean(),
    "constant_baseline": exact(tv.estimators.make("constant_baseline", value=best_each.mean()), points)[1].mean(),
    **{name: curve[-1] for name, curve in learning.items()},
    "leave_one_out": S * exact("leave_one_out", points, n_samples=S, n_nodes=4)[1].mean(),
    "delta_method": exact("delta_method", points)[1].mean(),
    "reparameterization": exact("reparameterization", points)[1].mean(),
}
# The optimal constant is a ratio, no polynomial: measured.
reports = tv.variance.measure_target(points, bowl, ["optimal_constant"], n_draws=20_000, n_samples=S, n_timings=0)
ladder["optimal_constant"] = S * reports["optimal_constant"].total["mu"].variance.value / len(mu)
floor = (8 * a**2 + 6).mean()  # b* for each point: no baseline can do better
print("Variance of d/dμ a sample (S times that of the S = 8 estimate), mean over the nine points")
for name, label in LABELS.items():
    print(f"{label:<28}{ladder[name]:10.2f}")
print(f"{'floor of all baselines':<28}{floor:10.2f}")

# %%
fig, ax = plt.subplots(figsize=(9, 5), layout="constrained")
for name in ("score_function", "constant_baseline", "leave_one_out", "optimal_constant", "reparameterization"):
    ax.axhline(ladder[name], **plots.style(name), lw=1.2, zorder=3)
ax.axhline(floor, color="black", lw=1, ls=(0, (1, 3)))
for name, curve in learning.items():
    ax.plot(stages, curve, **plots.style(name), lw=2.2, marker="o", ms=3)
raised = {"score_function": 1.07, "constant_baseline": 0.82, "moving_average": 1.05, "leave_one_out": 1.14}
raised |= {"input_dependent": 0.92}
for name in LABELS:
    if name != "delta_method":
        place = ladder[name] * raised.get(name, 1)
        ax.text(n_updates * 1.1, place, LABELS[name], color=plots.style(name)["color"], va="center", fontsize=9)
ax.text(1.1, floor * 0.85, "the best b for each point:\nno baseline can go below", va="top", fontsize=9)
ax.set(xscale="log", yscale="log", xlabel="updates of the trained ones (8 samples a point each)", xlim=(1, n_updates))
ax.set(ylabel="exact variance of d/dμ a sample, mean of nine points", ylim=(2.5, 2500))
fig.savefig(FIGURES / "06_ladder.png", dpi=130)

# %% [markdown]
# Three floors of a house.
#
# - **Constants.** One constant for all points halves the variance. The moving average finds nearly as good a one by
#   itself.
# - **A constant for each point.** The network comes close to the floor of all baselines, 8 a² + 6, within some
#   hundred updates. Leave-one-out gets about as far *untrained*, from seven other samples. The "optimal" constant,
#   estimated from the same seven, does worse: E[f h²] / E[h²] is a noisy ratio. (The best is not the best to
#   estimate.)
# - **Functions of z.** A bowl *is* its Taylor parabola, so the delta method has no variance left: an honest zero,
#   but a special one. The surrogate goes through the floor of the baselines, too, and comes near the
#   reparameterization. It could end below it. If c = f, what is left is f'(z) dz/dλ, the reparameterization itself.
#   If c = f + 2 (here, d/dμ), what is left is f'(z) - 2 ε = 8, without any noise. A surrogate contains both a slope
#   and a baseline.
#
# The surrogate has seen 2,000 x 72 values of f by then. If f stands still, that is a good investment; in training,
# f moves.
#
# ## Noise that is spread evenly
# The other way to a quieter estimate leaves the estimator alone and improves its ε. The samples of one estimate may
# depend on each other, as long as each is standard normal. **Antithetic** pairs ε, -ε cancel whatever is odd in ε.
# **Sobol** points (randomised quasi-Monte Carlo) fill the space evenly. Here is S x variance, which is flat for
# independent noise: for f = cos z in one dimension, and f = cos(Σ z_i / 4) in sixteen.


# %%
def wave(K):
    root = np.sqrt(K)
    return tv.Target(
        lambda z: np.cos(z.sum(axis=-1) / root),
        lambda z: np.broadcast_to(-np.sin(z.sum(axis=-1, keepdims=True) / root) / root, z.shape),
    )


schemes = {"independent": ("black", "o"), "antithetic": ("#882255", "s"), "sobol": ("#999933", "^")}
cases = (  # title, K, mean of Σ z_i / √K, is it d/dμ or d/dlogvar?
    ("d/dμ at μ = 0.3 (nearly odd in ε)", 1, 0.3, "dmu"),
    ("d/dlogvar at μ = 0 (even in ε)", 1, 0.0, "dlogvar"),
    ("16 dimensions, d/dμ", 16, 0.3, "dmu"),
)
sizes, n_replicates = 2 ** np.arange(1, 11), 400
scaled, noise = {}, np.random.default_rng(2)
for title, K, mean, part in cases:
    for estimator in ("reparameterization", "score_function"):
        for scheme in schemes:
            for S in sizes:
                many = tv.DiagonalGaussian(np.full((n_replicates, K), mean / np.sqrt(K)), np.zeros((n_replicates, K)))
                eps = tv.noise.resolve(scheme)(noise, int(S), n_replicates, K, "float64")  # S, B, K
                draws = tv.estimators.make(estimator)(many, wave(K), eps)
                squares = getattr(draws, part).mean(axis=0)  # B, K: one estimate a replicate
                squares = ((squares - squares.mean(axis=0)) ** 2).sum(axis=1)  # B
                error = squares.std() / np.sqrt(n_replicates)
                scaled[title, estimator, scheme, S] = S * squares.sum() / (n_replicates - 1), S * error

fig, axes = plt.subplots(1, 3, figsize=(12, 4.6), layout="constrained")
for ax, (title, *_) in zip(axes, cases):
    for estimator, style in (("reparameterization", "-"), ("score_function", ":")):
        for scheme, (color, marker) in schemes.items():
            value, error = np.array([scaled[title, estimator, scheme, S] for S in sizes]).T
            label = f"{scheme}, {estimator.replace('_', ' ')}"
            bars = np.minimum(1.96 * error, 0.9 * value), 1.96 * error
            mark = {"marker": marker, "ms": 4, "mfc": color if style == "-" else "white"}
            ax.errorbar(sizes, value, bars, ls=style, color=color, label=label, **mark)
    ax.set(title=f"cos: {title}", xscale="log", yscale="log", xlabel="samples S in one estimate")
    ax.set_xticks(sizes, [str(S) for S in sizes], fontsize=8)
    ax.minorticks_off()
axes[0].set_ylabel("S x variance (flat: 1/S), ± 1.96 standard errors")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
fig.savefig(FIGURES / "06_noise.png", dpi=130)
exponents = {}
for title, *_ in cases:
    for scheme in schemes:
        values = [scaled[title, "reparameterization", scheme, S][0] / S for S in sizes[2:]]
        exponents[title, scheme] = np.polyfit(np.log(sizes[2:]), np.log(values), 1)[0]
    line = ", ".join(f"{scheme} S^{exponents[title, scheme]:.2f}" for scheme in schemes)
    print(f"{title:<34} variance of the reparameterization from S = 8 on: {line}")

sixteen = cases[2][0]
print("In sixteen dimensions, S x variance of d/dμ, ± 1.96 standard errors:")
for estimator in ("reparameterization", "score_function"):
    for S in sizes[5:]:
        line = ""
        for scheme in ("antithetic", "sobol"):
            value, error = scaled[sixteen, estimator, scheme, S]
            line += f"   {scheme} {value:.3f} ± {1.96 * error:.3f}"
        print(f"{estimator:<20}S = {S:4d}{line}")

# %% [markdown]
# Antithetic noise gains a factor of ten where the estimate is nearly odd in ε, and for an even one it *doubles* the
# variance: the two of a pair say the same thing, so that half of the samples are wasted. Sobol points gain ever
# more with S, for smooth integrands in few dimensions.
#
# In sixteen, patience is needed. S x variance of simple pairs is ((1 - 1/e) sin 0.3)² = 0.035 for every S. Sobol
# points are behind that with 256 samples (0.044), still not ahead with 512 (0.039), and overtake with 1,024 (0.026;
# all three from 4,000 replicates, ± 0.002 at most). For the score function pairs are ahead even there, and the two
# are level with 2,048. Who takes 8 samples an image does not get to see it.
#
# ## On a network
# So much for toys. Take a variational autoencoder on 8 x 8 binarized digits (lesson 08 explains it; f is the
# reconstruction loss of an image, q its code's Gaussian, K = 10), trained for a while with the reparameterization.
# Then hold it fixed: variance belongs to a place. The estimators that learn get 400 minibatches to settle down
# there. `tv.train` calls their `update` after each step; an optimizer that does nothing keeps the network where it
# is. Its clock gives the time of a whole step, the estimators' own training included.

# %%
K, S, batch_size = 10, 4, 50
digits = tv.datasets.load("digits")
train = tv.datasets.binarize(digits.train, rng)  # 1437, 64
vae = tv.VAE(n_features=64, n_latents=K, hidden=(100,), seed=0)
for record in tv.train(vae, train, optimizer=tv.Adam(3e-3), epochs=20, seed=0):
    pass
print(f"The place: step {record.step}, reconstruction {record.reconstruction:.1f} + KL {record.kl:.1f} nats an image")


class Still:
    """An optimizer that leaves the parameters alone."""

    def step(self, theta, gradient):
        pass


contenders = {name: tv.estimators.make(name) for name in LABELS if name != "constant_baseline"}
# E[f], over all points: the constant that one would take
contenders["constant_baseline"] = tv.estimators.make("constant_baseline", value=record.reconstruction)
milliseconds = {}
for name in LABELS:
    learns = hasattr(contenders[name], "update")
    settings = {"n_samples": S, "epochs": 14 if learns else 3, "batch_size": batch_size, "seed": 1}
    records = list(tv.train(vae, train, contenders[name], optimizer=Still(), **settings))
    milliseconds[name] = 1e3 * np.median(np.diff([r.seconds for r in records[-80:]]))


def named(name):
    """The trained estimator as a function that `measure` reports under its name."""

    def estimator(*arguments):
        return contenders[name](*arguments)

    estimator.__name__ = name
    return estimator


batch = train[:batch_size]
reports = tv.variance.measure(
    vae, batch, [named(name) for name in LABELS], n_draws=300, n_samples=S, seed=0, n_timings=0
)

# %% [markdown]
# The price of a fixed precision is variance x cost (lesson 05). Two prices: milliseconds of the whole training step
# on this machine, and evaluations of f and df/dz (1 each) a data point.

# %%
evaluations = {name: report.evaluations + report.gradients for name, report in reports.items()}
prices = {"a training step in milliseconds": milliseconds, "evaluations of f and df/dz": evaluations}
totals = {name: report.total["encoder"].variance for name, report in reports.items()}
print("Encoder's weights, total variance with its 95% interval; each cost; variance x cost relative to the best")
order = sorted(LABELS, key=lambda name: totals[name].value)
for name in order:
    (v, low, high), costs = totals[name], [price[name] for price in prices.values()]
    relative = [
        v * price[name] / min(totals[other].value * price[other] for other in LABELS) for price in prices.values()
    ]
    line = f"{costs[0]:8.2f} ms{costs[1]:5.0f} f{relative[0]:8.1f}x{relative[1]:8.1f}x"
    print(f"{LABELS[name]:<27}{v:10.2f} [{low:9.2f}, {high:9.2f}]{line}")
print("Neighbours in this order: ratio of their variances, paired, with its 95% interval")
for better, worse in zip(order, order[1:]):
    value, low, high = tv.variance.ratio(reports[worse], reports[better], "encoder")
    verdict = "a tie" if low <= 1 <= high else ""
    print(f"{LABELS[worse] + ' / ' + LABELS[better]:<54}{value:8.2f} [{low:6.2f}, {high:6.2f}] {verdict}")

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), sharey=True, layout="constrained")
panels = {"variance, (nats / weight)²": dict.fromkeys(LABELS, 1)}
panels |= {f"variance x {what}": price for what, price in prices.items()}
for ax, (title, price) in zip(axes, panels.items()):
    for y, name in enumerate(reversed(order)):
        v, low, high = (price[name] * x for x in totals[name])
        color = plots.style(name)["color"]
        ax.plot([low, high], [y, y], color=color, lw=7, alpha=0.4, solid_capstyle="butt")
        ax.plot(v, y, "o", color=color, ms=5)
        ax.text(high * 1.25, y, f"{v:,.0f}" if v > 1000 else f"{v:.3g}", va="center", fontsize=8)
    products = [price[name] * totals[name].value for name in LABELS]
    ax.set(xscale="log", xlabel=title, xlim=(0.5 * min(products), 8 * max(products)))
    ax.set_yticks(range(len(order)), [LABELS[name] for name in reversed(order)])
    ax.grid(axis="x", color="#dddddd", lw=0.6)
    ax.set_axisbelow(True)
axes[0].set_title("noise", loc="left")
axes[1].set_title("at equal time", loc="left")
axes[2].set_title("at equal number of evaluations", loc="left")
fig.savefig(FIGURES / "06_digits.png", dpi=130)

# %% [markdown]
# The same house, with other furniture.
#
# - **A constant** is worth a factor of some 30: f is 20 nats for every code, and only a few nats distinguish codes
#   (lesson 08).
# - **What it follows** is worth two more: leave-one-out, from three other samples and for free, beats the moving
#   average and the input-dependent network. (With a single sample a point it does not exist, and the network's turn
#   comes.)
# - **The surrogate** has not seen enough here: it beats the network baseline, barely, and its own training takes
#   most of the step. What took 2,000 updates on a curve in one dimension takes more in ten, where f differs from
#   image to image.
# - **The delta method** works: within q's width a decoder is nearly a parabola. It asks 2 K + 1 = 21 slopes a point
#   for it, so that at equal evaluations it is hardly ahead of leave-one-out.
# - All that is needed for the delta method is needed for the **reparameterization**, which is cheaper and quieter.
#
# So: where df/dz exists, take the reparameterization. Where it does not, draw several samples and take
# leave-one-out, and think of something better only if that is too noisy. It is hard to beat.
#
# ## The headline
# On the bowl, the variance of a sample of d/dμ is **495** without, **138** with E[f], **134** with the best
# constant, and **0** with f's parabola taken off. The own sample in the baseline turns the gradient, 8, into 4, 6,
# 7 (S = 2, 4, 8); leave-one-out with antithetic pairs into 16, **10.7**, 9.1. On digits, leave-one-out takes the
# score function's variance down by a factor of some **60**, and the reparameterization's is some **15** times lower
# still.

# %%
assert np.allclose(list(spot.values()), (495, 138, 134)) and np.isclose((1 - rho**2) * variance_g, 134)
for S in (2, 4, 8):
    assert np.isclose(shrunk[S], 8 * (S - 1) / S) and np.isclose(paired[S], 8 * (1 + 1 / (S - 1)))
assert not certificate.passed
assert abs(others[0] - 8) < 5 * others[1] < 8 - own[0]
assert np.isclose(ladder["score_function"], (a**4 + 14 * a**2 + 15).mean()) and abs(ladder["delta_method"]) < 1e-6
assert np.isclose(ladder["leave_one_out"], (8 * a**2 + 10 + (8 * a**2 + 2) / 7).mean())
assert (
    ladder["relax"]
    < 0.2 * floor
    < floor
    < ladder["input_dependent"]
    < ladder["leave_one_out"]
    < ladder["optimal_constant"]
)

even = cases[1][0]
pooled = []
for scheme in ("antithetic", "independent"):
    value, error = np.array([scaled[even, "reparameterization", scheme, size] for size in sizes]).T
    pooled.append((value.mean(), np.sqrt((error**2).sum()) / len(sizes)))
(twice, error), (once, other) = pooled
print(f"Antithetic / independent variance on an even integrand: {twice / once:.2f}, exactly 2")
assert abs(twice - 2 * once) < 5 * np.hypot(error, 2 * other)
pairs_gain = {
    title: np.mean([scaled[title, "reparameterization", "independent", S][0] for S in sizes])
    / np.mean([scaled[title, "reparameterization", "antithetic", S][0] for S in sizes])
    for title, *_ in cases
}
assert 7 < pairs_gain[cases[0][0]] < 15 and 7 < pairs_gain[cases[2][0]] < 15
assert exponents[cases[0][0], "sobol"] < -1.6 and abs(exponents[cases[0][0], "independent"] + 1) < 0.2


def pooled_sixteen(scheme, sizes):
    """S x variance of the reparameterization in sixteen dimensions, mean over sizes, and its standard error."""
    value, error = np.array([scaled[sixteen, "reparameterization", scheme, S] for S in sizes]).T
    return value.mean(), np.sqrt((error**2).sum()) / len(sizes)


pairs = ((1 - np.exp(-1)) * np.sin(0.3)) ** 2  # exact: a pair's mean is cos(ε) sin 0.3, Var cos ε = (1 - 1/e)² / 2
(measured, error), (before, error_before), (after, error_after) = (
    pooled_sixteen(scheme, some)
    for scheme, some in (("antithetic", sizes), ("sobol", (64, 128, 256)), ("sobol", (1024,)))
)
print(f"Sixteen dimensions, S x variance: pairs {measured:.4f} ± {error:.4f}, exactly {pairs:.4f}")
print(f"Sobol points: S = 64 to 256 {before:.4f} ± {error_before:.4f}, S = 1024 {after:.4f} ± {error_after:.4f}")
assert abs(measured - pairs) < 5 * error
assert before - pairs > 3 * error_before and pairs - after > 3 * error_after

for worse, better, low, high in (
    ("score_function", "leave_one_out", 40, 100),
    ("leave_one_out", "reparameterization", 10, 25),
    ("leave_one_out", "delta_method", 4, 14),
    ("score_function", "constant_baseline", 15, 50),
):
    found = tv.variance.ratio(reports[worse], reports[better], "encoder")
    print(f"Digits, variance of {worse} / {better}: {found.value:.1f} [{found.low:.1f}, {found.high:.1f}]")
    assert low < found.low and found.high < high
for name in ("moving_average", "input_dependent", "relax", "optimal_constant"):
    assert tv.variance.ratio(reports[name], reports["leave_one_out"], "encoder").low > 1
print("Headline: 495, 138, 134, 0 on the bowl; leave-one-out with antithetic pairs makes 10.7 of 8.")
