"""Sticking the landing, and tighter bounds

Question: is the quieter gradient of a bound always quieter, and the tighter bound always better?
"""

# %% [markdown]
# **Needs:** two gradients (05), control variates (08), digits (07); the words bound, KL, score. About 20 minutes.
#
# The first half is about a model with one latent and one pixel, so small that every number has a formula:
#
#     z ~ N(0, 1),   x | z ~ N(z, 1),   we observe x = 1
#
# By Bayes' rule the posterior is N(1/2, 1/2); and x is N(0, 2), so that log p(x) is known. The encoder is
# q = N(μ, s²). It is exact at μ = 1/2, s² = 1/2; let a = μ - 1/2. Shapes: S samples, B distributions side by side,
# K = 1. (Papers write K for the number of samples; here it is S.)

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import check, plots

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
x, log_px = 1.0, -0.5 * np.log(2 * np.pi * 2) - 1 / 4
target = tv.Target(lambda z: 0.5 * ((x - z) ** 2 + np.log(2 * np.pi)).sum(axis=-1), lambda z: z - x)  # -log p(x | z)


def gaussian(mu, s, B=1):
    """q = N(mu, s²), B times."""
    return tv.DiagonalGaussian(np.full((B, 1), float(mu)), np.full((B, 1), 2 * np.log(s)))


# %% [markdown]
# ## Three ways to one gradient
# The loss is E_q[l(z)] with l = log q(z) - log p(x, z), nats. Here λ = (μ, s) occurs twice: in the sample z = μ + s ε,
# and in log q. The chain rule has a term for each:
#
#     dl/dλ  =  dl/dz · dz/dλ  +  dlog q(z)/dλ
#               └─ path ────┘     └─ score ──┘
#
# 1. **Sampled KL**: both terms. This is the reparameterization of lesson 05, all of l being sampled.
# 2. **Path derivative**: the first term only. The score has mean zero; it acts as an accidental control variate.
# 3. **KL by formula**: sample f = -log p(x | z) alone, add the slope of KL(q || p(z)). It is the usual choice in a VAE.
#
# On our model each is a line. The slope of l is dl/dz = 2z - 1 - ε/s, and z = 1/2 + a + s ε, so that for μ
#
#     path           2a + (2s - 1/s) ε
#     sampled KL     2a + (2s - 1/s) ε + ε/s          the score of μ is ε/s
#     by formula     (z - 1) + μ  =  2a + s ε         f' = z - 1, dKL/dμ = μ
#
# and for s the path's terms are multiplied by ε, the score's is (ε² - 1)/s. With Var[ε] = 1 and Var[ε²] = 2:
#
#     variance of        d/dμ              d/ds
#     sampled KL         4 s²              4 a² + 8 s²
#     KL by formula      s²                (1/2 - a)² + 2 s²
#     path derivative    (2s - 1/s)²       4 a² + 2 (2s - 1/s)²
#
# **Predict before you run:** at the exact posterior, which of the three is quietest, and how noisy is it?

# %%
WAYS = {  # name: (estimator, objective, line)
    "sampled KL": ("reparameterization", tv.ELBO(kl="monte_carlo"), plots.style("reparameterization")),
    "KL by formula": ("reparameterization", tv.ELBO(), {"color": "black", "linestyle": ":"}),
    "path derivative": ("path_derivative", tv.ELBO(kl="monte_carlo"), plots.style("path_derivative")),
}


def table(mu, s):
    """{way: (variance of d/dμ, variance of d/ds)}."""
    a, mismatch = mu - 0.5, (2 * s - 1 / s) ** 2
    return {
        "sampled KL": (4 * s**2, 4 * a**2 + 8 * s**2),
        "KL by formula": (s**2, (1 / 2 - a) ** 2 + 2 * s**2),
        "path derivative": (mismatch, 4 * a**2 + 2 * mismatch),
    }


print("Variance of d/dμ, d/ds: the package's estimators by quadrature, equal to the table's")
for title, mu, s in (("the posterior", 0.5, np.sqrt(0.5)), ("close to it", 0.2, 0.9), ("narrow", 1.0, 0.5)):
    for way, (estimator, objective, _) in WAYS.items():
        _, variance = check.exact_mean(estimator, gaussian(mu, s), target, objective, n_nodes=20)  # 1, 2: μ, logvar
        found = variance[0] * (1, (2 / s) ** 2)  # 2: μ, s, for dlogvar = 2/s ds
        print("{:<14} N({}, {:.3f}²) {:<16}{:9.6f}{:12.6f}".format(title, mu, s, way, *found))
        assert np.allclose(found, table(mu, s)[way], rtol=0, atol=1e-9)
nodes, weights = check.gauss_hermite(200, 1)  # n, 1; n: for all integrals over ε
landing = gaussian(0.5, np.sqrt(0.5))
reconstruction, kl = weights @ target(landing.sample(nodes[:, None]))[:, 0], landing.kl()[0]
assert abs(reconstruction + kl + log_px) < 1e-9
print(f"At the posterior, E[f] {reconstruction:.4f} + KL {kl:.4f} = {reconstruction + kl:.4f} = -log p(x)")

# %%
s_grid, a_grid = np.linspace(0.3, 1.3, 201), np.linspace(-1.2, 1.2, 201)
fig, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
for way, (_, _, style) in WAYS.items():
    axes[0].plot(s_grid, table(0.5, s_grid)[way][0], **style, lw=2, label=way)
    axes[1].plot(a_grid, table(0.5 + a_grid, np.sqrt(0.5))[way][1] + 0 * a_grid, **style, lw=2)
for ax, where in zip(axes, (np.sqrt(0.5), 0)):
    ax.axvline(where, color="#999999", lw=0.8)
    ax.text(where, 6.6, " exact posterior", fontsize=9, color="#555555")
axes[0].set(xlabel="s, at μ = 1/2", ylabel="variance of d/dμ, one sample", ylim=(-0.2, 7))
axes[1].set(xlabel="a = μ - 1/2, at s² = 1/2", ylabel="variance of d/ds, one sample", ylim=(-0.2, 7))
axes[0].set_title("path derivative: no noise at the posterior, much if q is narrow")
axes[1].set_title("off centre, no way is always quietest")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
fig.savefig(FIGURES / "10_landing.png", dpi=130)

# %% [markdown]
# At the exact posterior log q(z) - log p(x, z) is -log p(x) for *every* z. Its slope in z is zero, and so is the path
# derivative, in every draw: it "sticks the landing". A sampled KL jitters around the optimum for ever.
#
# Where does the path derivative lose? For d/dμ, to the sampled KL where |2s - 1/s| > 2s: for s < **1/2**, never for a
# wide q. To the KL by formula where |2s - 1/s| > s: for s < **1/√3** and for s > **1**. For d/ds at s² = 1/2: to the
# KL by formula where 4a² > (1/2 - a)² + 1, outside -5/6 < a < 1/2. Useful late in training, not guaranteed.
#
# ## A tighter bound
# The bound averages log w over samples, w = p(x, z) / q(z). Average first and take the logarithm after, and by
# Jensen's inequality (the logarithm is concave) the result is still below log E[w] = log p(x):
#
#     L_S = E[ log 1/S Σ_s w_s ],     L_1 = ELBO,   L_S ≤ L_{S+1} ≤ log p(x),   L_S -> log p(x)
#
# the **importance-weighted bound**. Its gap has an exact formula. Integrate 1/u = ∫ e^-tu dt (over t > 0) over u from
# 1 to y: log y = ∫ (e^-t - e^-ty) / t dt. Put y = 1/S Σ w_s, take the mean (the samples are independent, so that of a
# product is a product of means), and divide w by p(x) to make its mean one. For any S, with q = N(1, 2/3) from here on:
#
#     log p(x) - L_S = ∫ [ M(t/S)^S - e^-t ] / t dt,     M(t) = E_q[ e^-tw ]

# %%
mu, s = 1.0, np.sqrt(2 / 3)
bound = tv.ImportanceWeighted()


def weight(mu=mu, m=0.0):
    """w = p(x, z) / q(z) at the nodes, (n,), for the prior N(m, 1)."""
    z = mu + s * nodes[:, 0]  # n
    return s * np.exp((nodes[:, 0] ** 2 - (x - z) ** 2 - (z - m) ** 2) / 2) / np.sqrt(2 * np.pi)  # n


def exact_bound(S, mu=mu, m=0.0):
    """L_S, by the formula above."""
    w, t = weight(mu, m), np.exp(np.arange(-40, 12, 0.02))  # n; an even grid of log t, for dt / t = d log t
    px = weights @ w  # p(x), the mean of w
    M = np.exp(-t[:, None] / S * w / px) @ weights  # a number for each t
    return np.log(px) - 0.02 * (M**S - np.exp(-t)).sum()


def variance(mu=mu):
    """Var[w / p(x)]."""
    return weights @ (weight(mu) / np.exp(log_px) - 1) ** 2


def slope(function, at, step=1e-4):
    """A derivative by central differences, good to some eight digits here."""
    return (function(at + step) - function(at - step)) / (2 * step)


sizes = 4 ** np.arange(5)  # 1 to 256
gaps = {int(S): log_px - exact_bound(S) for S in (*sizes, 2, 3)}
w = weight() / np.exp(log_px)  # n
pairs = -weights @ np.log((w[:, None] + w) / 2) @ weights  # S = 2, a sum over all pairs of nodes
kl = s**2 + 0.25 - 0.5 - np.log(2 * s**2) / 2  # S = 1, KL(q || posterior) by its formula
print(f"log p(x) - L_S = {gaps[1]:.6f} ({kl:.6f}), {gaps[2]:.6f} ({pairs:.6f}), {gaps[3]:.6f} for S = 1, 2, 3")
assert max(abs(gaps[1] - kl), abs(gaps[2] - pairs)) < 1e-9

# %% [markdown]
# ## What happens to the gradient
# A gradient is as good as its **signal-to-noise ratio**, |mean| / standard deviation. In an average over S samples it
# grows like √S. Here? Write y = 1 + u with Var[u] = Var[w]/S: log y ≈ u - u²/2, so that for large S
#
#     gap ≈ Var[w] / 2S,     and the signal for q:     d gap/dμ ≈ 1/2S · dVar[w]/dμ
#
# As S grows, the bound depends less on q, and the signal falls like 1/S. The noise is that of a weighted average of S
# terms, Σ wn_s dl_s/dμ with wn_s = w_s / Σ w: it falls like 1/√S. So the ratio *falls*, like 1/√S. For a parameter of
# the model, such as the prior's mean m, the signal stays: it tends to dlog p(x)/dm.
#
# **DReG** (doubly reparameterized) mends q's gradient. The reparameterization's is Σ wn_s (dl_s/dz · dz_s/dλ +
# score_s). Its second term is a score-function estimator with wn_s in the place of f; lesson 05's two answers are equal
# on average, so E[wn_s · score_s] = E[dwn_s/dz_s · dz_s/dλ]. And wn = w / Σ w = e^-l / Σ e^-l has the slope
# -wn (1 - wn) dl/dz. The factor of dl_s/dz · dz_s/dλ becomes wn - wn (1 - wn) = **wn²**:
#
#     DReG:    Σ_s wn_s² · dl_s/dz · dz_s/dλ          S terms of size 1/S²: noise √S / S², and a ratio like √S
#
# **VIMCO** needs no slope of f. With the loss L = -log 1/S Σ w, the score of all S draws together is Σ score_s, and λ
# also occurs in l: dL/dλ = E[Σ L · score_s + Σ wn_s · score_s]. As in leave-one-out, each score_s may have a baseline
# made from the other samples, L_{-s}: L with w_s replaced by the others' geometric mean.
#
#     VIMCO:   Σ_s (L - L_{-s}) · score_s  +  Σ_s wn_s · score_s
#
# One sample in S moves L by some 1/S: S terms of size 1/S, and noise like 1/√S again.
#
# **Predict before you run:** with 16 times as many samples, is the gradient for q clearer or fainter, by which factor,
# with each of the three? The signal is exact (the slope of -L_S), the noise that of 2,000 gradients.


# %%
def prior_mean(q, target, eps, objective=None, rng=None):
    """The gradient for m, put where d/dμ would stand, so that it can be measured like the others."""
    z = q.sample(eps)  # S, B, 1
    losses = target(z) + q.log_ratio(z)  # S, B: -log w
    share = objective.weights(losses)[..., None] * -z  # S, B, 1: dl/dm = -(z - m), at m = 0
    return tv.Draws(losses, len(z) * np.concatenate([share, 0 * share], axis=2))


CURVES = {name: (vars(tv.estimators)[name], plots.style(name)) for name in ("reparameterization", "dreg", "vimco")}
CURVES["m, of the model"] = prior_mean, {"color": "black", "linestyle": "-"}
n = 2000
signal = {S: (-slope(lambda mu: exact_bound(S, mu), mu), -slope(lambda m: exact_bound(S, mu, m), 0)) for S in sizes}
snr, q = {name: {} for name in CURVES}, gaussian(mu, s, n)
for S in sizes:
    eps = q.noise(np.random.default_rng(S), S)  # S, n, 1
    for name, (estimator, _) in CURVES.items():
        if name != "vimco" or 2 <= S <= 64:  # it needs two samples, and its cost grows like S²
            draws = estimator(q, target, eps, bound).dmu.mean(axis=0)[:, 0]  # n gradients
            truth, std = signal[S][estimator is prior_mean], draws.std(ddof=1)
            assert abs(draws.mean() - truth) < 5 * std / np.sqrt(n)  # each is right on average
            error = ((draws - draws.mean()) ** 2).std() / np.sqrt(n) / (2 * std**2)  # of std, relative
            snr[name][S] = abs(truth) / std, error
    print("S = {:3d}: S dL/dμ = {:.4f}, dL/dm = {:.4f}".format(S, S * signal[S][0], signal[S][1]))
limit = slope(variance, mu) / 2
print(f"predicted for large S:  {limit:.4f}           {-x / 2:.4f}")
factors = {}
for name in CURVES:
    few, many = (4, 64) if name == "vimco" else (16, 256)
    (low, low_error), (high, high_error) = snr[name][few], snr[name][many]
    factors[name] = high / low, high / low * np.hypot(low_error, high_error)  # and its standard error
    print("{:<19} S = {} to {}: signal-to-noise x {:.3f} ± {:.3f}".format(name, few, many, *factors[name]))

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
axes[0].plot(sizes, [gaps[S] for S in sizes], "o-", color="black", ms=4, label="exact")
axes[0].plot(sizes, variance() / (2 * sizes), ":", color="#666666", label="Var[w / p(x)] / 2S")
axes[0].set(ylabel="log p(x) - L_S, nats", title="the bound tightens ...")
axes[0].legend(frameon=False)
for name, (_, style) in CURVES.items():
    value = [value for value, _ in snr[name].values()]
    axes[1].plot(list(snr[name]), value, **style, lw=2, marker="o", ms=4)
    axes[1].text(1.15 * max(snr[name]), value[-1], name, color=style["color"], va="center")
axes[1].set(ylabel="signal-to-noise ratio of one gradient", title="... and q's gradient drowns, but for DReG's")
for ax in axes:
    ax.set(xscale="log", yscale="log", xlabel="samples S in the bound")
    ax.set_xticks(sizes, [str(S) for S in sizes])
    ax.minorticks_off()
axes[1].set(xlim=(0.8, 5000), ylim=(0.02, 40))
fig.savefig(FIGURES / "10_signal.png", dpi=130)

# %% [markdown]
# More samples make the bound better and the encoder's gradient *worse*, with the reparameterization and with VIMCO; not
# with DReG. (The package refuses the path derivative here: the score that it drops is weighted, its mean not zero.)
#
# ## On digits
# Does a tighter bound make a better *model*? Train on 8 x 8 binarized digits with 8 samples an image: on the ELBO,
# which averages them; on the importance-weighted bound with the reparameterization (IWAE); and with DReG. The same
# steps, samples, minibatches and start; four seeds; several stopping times. The judge of log p(x) on test images is
# L_200. It is a bound itself: with a gap like 1/S, what it still lacks is a third of L_200 - L_50.

# %%
rng = np.random.default_rng(0)
digits = tv.datasets.load("digits")
train, test = (tv.datasets.binarize(images, rng) for images in (digits.train, digits.test))  # 1437, D; 360, D
RUNS = {"ELBO": ("reparameterization", tv.ELBO()), "IWAE": ("reparameterization", bound), "DReG": ("dreg", bound)}
SEEDS, EPOCHS = range(4), (2, 5, 10, 20, 40)
scores = {name: np.zeros((len(SEEDS), len(EPOCHS))) for name in RUNS}  # seeds, epochs
lacks, slack, models = dict.fromkeys(RUNS, 0), dict.fromkeys(RUNS, 0), {}
for name, (estimator, objective) in RUNS.items():
    for seed in SEEDS:
        vae = models[name, seed] = tv.VAE(n_features=64, n_latents=10, hidden=(50,), seed=seed)
        for record in tv.train(vae, train, estimator, objective, tv.Adam(3e-3), n_samples=8, epochs=40, seed=seed):
            if record.step % 15 == 0 and record.epoch in EPOCHS:  # 15 steps an epoch
                L_200 = vae.log_likelihood(test, 200, np.random.default_rng(1)).mean()
                scores[name][seed, EPOCHS.index(record.epoch)] = L_200
        L_50 = vae.log_likelihood(test, 50, np.random.default_rng(1)).mean()
        lacks[name] += (L_200 - L_50) / 3 / len(SEEDS)
        slack[name] += (L_200 + tv.evaluate.bound(vae, test, 10).loss) / len(SEEDS)
gains = {}
for name in ("IWAE", "DReG"):  # the mean over four seeds, and half its 95% interval (Student's t, 3 degrees)
    gain = scores[name] - scores["ELBO"]  # seeds, epochs
    gains[name] = gain.mean(axis=0), 3.182 * gain.std(axis=0, ddof=1) / np.sqrt(len(SEEDS))  # epochs; epochs
print("epoch   ELBO: log p(x)   gain of IWAE      gain of DReG      nats a test image, 95% over seeds")
for i, epoch in enumerate(EPOCHS):
    pairs = "".join(f"{gain[i]:+12.2f} ± {error[i]:.2f}" for gain, error in gains.values())
    print(f"{epoch:5d}{scores['ELBO'][:, i].mean():15.2f}{pairs}")
for name in RUNS:
    print(f"{name}: ELBO {slack[name]:.2f} nats below L_200 at the end, which lacks some {lacks[name]:.3f}")

clear, heavy = {}, {}  # the encoder's gradient on 25 images, on each ELBO-trained network, from 120 replicates
for S, name in ((1, "IWAE"), (1, "DReG"), (64, "IWAE"), (64, "DReG")):
    found, (estimator, _) = [], RUNS[name]
    for seed in SEEDS:
        settings = {"n_draws": 120, "n_samples": S, "seed": seed, "n_timings": 0, "blocks": ("encoder",)}
        (report,) = tv.variance.measure(models["ELBO", seed], train[:25], [estimator], bound, **settings).values()
        total = report.total["encoder"]  # squares: each replicate's share of the variance
        found.append((total.snr.value, np.sort(total.squares)[-5:].sum() / total.squares.sum()))
    clear[name, S], heavy[name, S] = np.mean(found, axis=0)
    print(f"S = {S:2d}, {name}: ratio {clear[name, S]:.2f}; five of 120 have {heavy[name, S]:.0%} of the variance")

# %%
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, shift in (("IWAE", 0.985), ("DReG", 1.015)):
    style = {**plots.style(RUNS[name][0]), "marker": "o", "ms": 4, "capsize": 3, "lw": 2}
    ax.errorbar(np.array(EPOCHS) * shift, *gains[name], **style, label=name)
ax.axhline(0, color="black", lw=0.8)
ax.text(2, 0.02, "trained on the ELBO", fontsize=9)
ax.set(xscale="log", xlabel="epochs", ylabel="gain in test log p(x), nats an image")
ax.set_title("who is ahead depends on when you look")
ax.set_xticks(EPOCHS, [str(epoch) for epoch in EPOCHS])
ax.minorticks_off()
ax.legend(frameon=False, title="bar: 95% interval over seeds", loc="upper right")
fig.savefig(FIGURES / "10_digits.png", dpi=130)

# %% [markdown]
# Report several stopping times. **Early** (5 epochs) the tighter bound is ahead by half a nat, after **20** behind by a
# third, at the **end** ahead by a tenth. Any of the three could have been "the result", and all are small beside the
# four nats that epochs 5 to 40 bring. (What the judge lacks is below .02.) These encoders are *worse* as posteriors:
# their ELBO is about one nat below log p(x), against a quarter. The bound of 8 samples hardly depends on that.
#
# On the networks the reparameterization's ratio falls, too, and DReG's is clearer, but the toy's √S does not show: at
# S = 64 five of 120 replicates make up more than a third of its variance. Sometimes one sample takes nearly all the
# weight.
#
# **Believed before:** the path derivative is the quieter one, and a tighter bound is better. **Believe now:** the first
# holds near the posterior only, and a tighter bound teaches the encoder less. **The number that changed it:** with 16
# times the samples the signal-to-noise ratio of q's gradient is multiplied by about **1/4**, with DReG by **4**.
#
# **Sources:** Roeder et al. 2017 (path derivative); Burda et al. 2016, eq. 8, 13 (the bound, its gradient); Rainforth
# et al. 2018 (signal-to-noise); Tucker et al. 2019, eq. 8 (DReG); Mnih & Rezende 2016, eq. 10, 11 (VIMCO).
#
# **Exercises:** `tinyvae exercise 10`: 1. `variances_of_a_draw`, the table of the three ways where x = 2;
# 2. `dreg_by_hand`, from losses, slopes and noise; 3. `gap_of_four`, log p(x) - L_4 to 1e-6, another way than here.

# %%
assert np.allclose([gaps[S] for S in (1, 2, 3)], (0.272826, 0.119168, 0.074855), rtol=0, atol=1e-6)
crossings = [(0.5, 0.5, 0, "sampled KL")] + [(0.5, s, 0, "KL by formula") for s in (1 / np.sqrt(3), 1)]
for mu, s, i, rival in crossings + [(mu, np.sqrt(0.5), 1, "KL by formula") for mu in (1, -1 / 3)]:
    assert abs(table(mu, s)["path derivative"][i] - table(mu, s)[rival][i]) < 1e-9
assert abs(256 * signal[256][0] / limit - 1) < 0.01 and abs(signal[256][1] + 0.5) < 0.005
for name, power in zip(CURVES, (-0.5, 0.5, -0.5, 0.5)):
    factor, error = factors[name]  # a power of S in the limit only: from S = 4 on, VIMCO is a seventh off
    assert abs(factor / 16**power - 1) < 5 * error / factor + (0.2 if name == "vimco" else 0.04)
early, middle, late = (np.mean([gains[name][0][EPOCHS.index(epoch)] for name in gains]) for epoch in (5, 20, 40))
assert early > 0.3 and middle < -0.15 and 0 < late < 0.3  # another processor rounds otherwise: another run
assert 3 < np.ptp(scores["ELBO"][:, 1:].mean(axis=0)) < 5 and max(lacks.values()) < 0.02
assert slack["ELBO"] < 0.4 < 0.6 < slack["DReG"] < slack["IWAE"] < 1.5
assert clear["IWAE", 64] < 0.7 * clear["IWAE", 1] and clear["DReG", 64] < 1.5 * clear["DReG", 1]  # not 8 times
assert all(clear["DReG", S] > 2 * clear["IWAE", S] for S in (1, 64)) and heavy["DReG", 64] > 1 / 3
powers = " and, with DReG, ".join(f"{factors[name][0]:.2f}" for name in ("reparameterization", "dreg"))
print(f"Headline: path derivative 0 against 2; gap 0.273, 0.119, 0.075 nats; 16 times the samples: x {powers}.")
