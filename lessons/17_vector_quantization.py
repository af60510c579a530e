"""A codebook

Question: what does a model gain whose code is a list of words, each from a list of sixteen?
"""

# %% [markdown]
# **Needs:** lessons 01 (autoencoder), 02 (the bound), 05 (an average has a slope where its terms have none), 16
# (straight-through); about 15 minutes. As in lesson 01, `tv.MLP` has the networks' slopes, and the error of a copy is
# squared and summed over the D = 64 pixels of a held-out digit.
#
# A **codebook** is a list of W vectors, the **words**, of C numbers each. An encoder makes P vectors z of an image, one
# for each **position** of its code; each is replaced by the nearest word e (**vector quantization**, VQ), and the
# decoder sees only the words. So the code of this **VQ-VAE** is P whole numbers, and an image costs exactly P log2 W
# **bits**: here 8 positions of 16 words, 32 bits.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import plots

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
train, test, *_ = tv.datasets.load("digits")  # 1437, D; 360, D; 8 x 8 grey pixels from 0 to 1
D, P, W, C, B, EPOCHS, SEEDS, FEW = train.shape[1], 8, 16, 2, 100, 30, range(5), range(3)
STRAIGHT = plots.style("straight_through")["color"]
RATE = tv.schedules.Cosine(1e-2, EPOCHS * -(-len(train) // B))  # from .01 down to 0 in 450 steps
rng = np.random.default_rng(0)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def flat(grads):
    return np.concatenate([grad.ravel() for grad in grads.values()])  # in the order of theta


def nearest(z, words):
    """Which word, 0 to W - 1, is nearest to each vector: z (n, C), words (W, C) -> (n,)."""
    return ((z[:, None] - words) ** 2).sum(axis=2).argmin(axis=1)


def interval(values):
    """The mean of three or five runs, and half its 95% interval (Student's t)."""
    return np.mean(values), {3: 4.303, 5: 2.776}[len(values)] * np.std(values, ddof=1) / np.sqrt(len(values))


def cell(values):
    return "{:.3f} ± {:.3f}".format(*interval(values))


# %% [markdown]
# ## The nearest word has no slope
# Nudge z, and its nearest word stays what it is, or jumps. The slope of an image's loss in z is 0, or there is none.
# VQ-VAEs take the slope at the word and hand it to z: **straight through**, as if e were z + a constant. How near is
# that to the truth? The loss is an average over images, and may have a slope where none of its terms has one. Let an
# image be a number x, logistic as in lesson 16, P(x < b) = sigmoid(b). The encoder has one parameter, a: z = x + a, and
# f(e) is what the word e costs. Neighbouring words w_i < w_i+1 meet at their midpoint b_i; a larger a carries images
# over it at the rate p(b_i), z's density there. With P(w_i) the share of the images whose word is w_i,
#
#     truth = Σ_i p(b_i) (f(w_i+1) - f(w_i))          straight through = Σ_i P(w_i) f'(w_i)
#
# The truth knows what a *jump* does; straight-through knows what a *nudge to a word* would do. **Predict before you
# run:** a = 1/2, f(e) = e³ - 2e, and two words, -1 and 1: what are the two? And with a word at every odd number?

# %%
f, slope_of_f, A = (lambda e: e**3 - 2 * e), (lambda e: 3 * e**2 - 2), 0.5


def slopes(words, a):
    """The truth, straight through, and the mean of f, for n words in order."""
    below = np.concatenate([[0], sigmoid((words[1:] + words[:-1]) / 2 - a), [1]])  # n + 1, P(z < b)
    p, mass = (below * (1 - below))[1:-1], np.diff(below)  # n - 1, the density at the midpoints; n, P(w)
    return p @ np.diff(f(words)), mass @ slope_of_f(words), mass @ f(words)


two, many = np.array([-1.0, 1.0]), np.arange(-79.0, 80.0, 2)
for words in (two, many):
    truth, through, _ = slopes(words, A)
    assert abs((slopes(words, A + 1e-4)[2] - slopes(words, A - 1e-4)[2]) / 2e-4 - truth) < 1e-6 * (1 + abs(truth))
    print(f"{len(words):2} words: truth {truth:.4f}, straight through {through:.4f}")

fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
place, nudge = np.linspace(-1.8, 1.8, 200), np.array([-0.35, 0.35])
ax.plot(place, f(place), color="0.6", lw=2)
ax.plot(two, f(two), "o-", color="black", ms=9, lw=2)
ax.text(0.1, 0.25, "what a jump does", fontsize=11)
for word in two:
    ax.plot(word + nudge, f(word) + nudge * slope_of_f(word), color=STRAIGHT, lw=4)
ax.text(-1.75, 1.75, "what a nudge to\na word would do", color=STRAIGHT, fontsize=11)
ax.set(xlabel="e, what the decoder sees", ylabel="f, what it costs", title="Two words (dots) far apart: the wrong sign")
fig.savefig(FIGURES / "17_straight_through.png", dpi=130)

# %% [markdown]
# Two words: the wrong sign, +1 for -0.47. Words at all odd numbers: 9.622 for 9.602. Both sums then stand for one
# integral, the mean of f'(z + u) with u uniform over a cell, -1 to 1: a jump over a cell is 2 times the mean of f' in
# it, and P(w) is 2 times the density of z + u at w. With the variances of x and u, and a², the integral is
# 3 (π²/3 + 1/4 + 1/3) - 2 = 9.620. So straight-through is biased, and good where words are dense and f is smooth.
# Slopes at words are all that a network has.
#
# ## The words move, too
# The loss of a batch, with lesson 04's -log p(x | e), with sg ("stop gradient") around what is held fixed, and with a
# sum over positions understood, is
#
#     1/B Σ ( -log p(x | e) + |sg(z) - e|² + 1/4 |z - sg(e)|² )
#
# The second term pulls words to the vectors that chose them. The third, **commitment**, pulls the vectors to their
# word: the decoder's slope alone pushes z on and on, as the word does not follow at once. The step by hand:


# %%
def step(x, encoder, decoder, words):
    """The gradient of a batch's loss: encoder, decoder, words."""
    z, up = encoder.forward(x)  # B, P C
    vectors = z.reshape(-1, C)  # B P, C
    codes = nearest(vectors, words)  # B P
    e = words[codes].reshape(z.shape)  # B, P C
    logits, down = decoder.forward(e)  # B, D
    de, decoder_grads = decoder.backward(down, (sigmoid(logits) - x) / len(x))  # B, P C
    dz = de + 2 / 4 * (z - e) / len(x)  # B, P C; straight through: the slope at e is z's
    own = np.eye(len(words))[codes]  # B P, W: whose vectors are whose
    dwords = 2 / len(x) * (own.sum(axis=0)[:, None] * words - own.T @ vectors)  # W, C
    return np.concatenate([flat(encoder.backward(up, dz)[1]), flat(decoder_grads), dwords.ravel()])


model = tv.VQVAE(D, P, W, C, (20,), dtype="float64", codebook_by="gradient")
model.codebook[:] = rng.normal(size=(W, C))
by_hand = step(train[:B].astype("float64"), model.encoder, model.decoder, model.codebook)
off = np.abs(by_hand - model.loss_and_grads(train[:B])[1][:-W]).max()  # W more count each word's use, without slope
print(f"The step by hand differs from tv.VQVAE's by {off:.0e} at most")

# %% [markdown]
# A word's slope is 2 (n e - s) / B, with n vectors that chose it and s their sum: it pulls to their mean s / n. With
# **moving averages** a word goes there without a learning rate: e is the average of s over N, the average of n. With
# N <- decay N + (1 - decay) n, and the same for s, that is
#
#     e <- e + (1 - decay) (s - n e) / N
#
# At decay 0, with all data in one batch, it is **k-means**: each vector to the nearest word, each word to the mean of
# its vectors, and so on. A VQ-VAE does k-means on vectors that move, for the encoder learns meanwhile; decay is 0.99.

# %%
model = tv.VQVAE(D, P, W, C, (20,), dtype="float64", decay=0.0, revive=0.0)
vectors = model.encoder.forward(train.astype("float64"))[0].reshape(-1, C)  # n P, C
model.codebook[:] = rng.permutation(vectors)[:W]  # W, C
codes = nearest(vectors, model.codebook)  # n P
model.step(train.astype("float64"), np.empty_like(model.theta)), model.after_step(rng)
apart = np.abs(model.codebook - [vectors[codes == k].mean(axis=0) for k in range(W)]).max()
print(f"After a batch of all data the words differ from k-means' by {apart:.0e} at most")


# %% [markdown]
# ## What does each part do?
# **Predict before you run:** train on digits, and take away first the encoder's slope (its true one, image by image, is
# 0: it stays as it was drawn), then the commitment. How much does each cost?


# %%
class NoSlope(tv.VQVAE):
    """Nothing reaches the encoder."""

    def step(self, x, grads):
        found = super().step(x, grads)
        for name, slope in self.views(grads).items():
            slope *= not name.startswith("encoder")
        return found


def trained(seed, kind=tv.VQVAE, shape=(P, W, C), **options):
    model = kind(D, *shape, (128,), "relu", seed=seed, **options)
    model.start_at(train)
    list(tv.train(model, train, epochs=EPOCHS, batch_size=B, seed=seed, optimizer=tv.Adam(RATE)))
    return model


def error(copies):
    return float(((test - copies) ** 2).sum(axis=1).mean())


WAYS = {"all of it": (SEEDS, {}), "no slope": (FEW, {"kind": NoSlope}), "no commitment": (FEW, {"commitment": 0.0})}
models = {way: [trained(seed, **options) for seed in seeds] for way, (seeds, options) in WAYS.items()}
copying = {way: [error(model.reconstruct(test)) for model in models[way]] for way in WAYS}
sizes = {way: [model.encoder.forward(test)[0].std() for model in models[way]] for way in WAYS}
for way in WAYS:
    print(f"{way:<14} error {cell(copying[way])}, standard deviation of z {cell(sizes[way])}")

# %% [markdown]
# An encoder that stays as it was drawn costs most, 2.02 in place of 0.74: the biased slope is worth having. Without
# commitment z runs away from its words, to some 20 times its size, and the error is 1.4.
#
# ## Words that nobody says
# A word that no vector is nearest to gets no slope and stays where it is: **dead**. A remedy: where a word's N is below
# a tenth of the mean, put it on a vector of the batch (**revival**). The first batch does that for most words, which
# begin near 0, all in one place. How many words are in use says the **perplexity**, exp(-Σ_k p_k log p_k), p_k a word's
# share: W if all are said alike, 1 if one is said always. Take the same 32 bits as 4 positions of 256 words; C is 4.

# %%
REVIVE = {"with revival": 0.1, "without": 0.0}
large = {how: [trained(seed, shape=(4, 256, 4), revive=share) for seed in FEW] for how, share in REVIVE.items()}
said = {how: [model.use(train).any(axis=0).sum() for model in large[how]] for how in REVIVE}
alive = {how: [model.perplexity(train) for model in large[how]] for how in REVIVE}
errors = {how: [error(model.reconstruct(test)) for model in large[how]] for how in REVIVE}
for how in REVIVE:
    print(f"{how:<12} words {cell(said[how])}, perplexity {cell(alive[how])}, error {cell(errors[how])}")

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, way, title in zip(axes, ("all of it", "no commitment"), ("Commitment 1/4", "Commitment 0")):
    z = models[way][0].encoder.forward(test)[0].reshape(-1, C)  # 360 P, C
    ax.scatter(*z.T, s=2, c=models[way][0].encode(test), cmap="tab20")
    ax.plot(*models[way][0].codebook.T, "o", ms=9, color="black", mec="white")
    ax.set(xlabel="first number of z", ylabel="second", title=f"{title}: error {np.mean(copying[way]):.2f}")
fig.suptitle("Commitment keeps the vectors (dots) near their words (black); a colour: whose nearest word")
fig.savefig(FIGURES / "17_words.png", dpi=130)

# %% [markdown]
# Without revival half of the words are never said, and the copies are worse by 0.12.
#
# ## At equal bits
# Without a network, 32 bits are spent by **product quantization**: cut the image into 8 blocks of 2 x 4 pixels, and let
# k-means find 16 words for each. With a network, but afterwards: train an autoencoder of the same layers on 16 plain
# numbers, then let k-means find 16 words for each pair of them: a list for each position, where the VQ-VAE has one for
# all. The decoder stays what it is.


# %%
def by_parts(points, others, parts):
    """The others, each part of each replaced by the nearest of W words, which k-means finds for it in the points."""
    copies = np.empty_like(others)
    for part in parts:
        ours = points[:, part]  # n, so many numbers
        words = rng.permutation(ours)[:W]
        for _ in range(25):
            own = np.eye(W)[nearest(ours, words)]  # n, W
            words += (own.T @ ours - own.sum(axis=0)[:, None] * words) / np.maximum(own.sum(axis=0), 1)[:, None]
        copies[:, part] = words[nearest(others[:, part], words)]
    return copies


blocks, plain, later = np.arange(D).reshape(4, 2, 2, 4).transpose(0, 2, 1, 3).reshape(8, 8), [], []  # each its pixels
product = [by_parts(train, test, blocks) for _ in FEW]  # 360, D each
product_error = [error(copies) for copies in product]
for seed in SEEDS:
    model = trained(seed, tv.Autoencoder, (P * C,))
    z, z_test = model.encode(train), model.encode(test)  # 1437, P C; 360, P C
    plain.append(error(model.decode(z_test).mean))
    later.append(error(model.decode(by_parts(z, z_test, np.arange(P * C).reshape(P, C))).mean))
ours = copying["all of it"]
print(f"32 bits: k-means of blocks {cell(product_error)}, words found later {cell(later)}")
print(f"32 bits: VQ-VAE {cell(ours)}; plain numbers, 16 times 32 bits: {cell(plain)}")

# %% [markdown]
# Words learnt with the network beat words found for it afterwards, 0.74 against 0.83, and words of blocks, 0.82. The
# plain numbers copy better, 0.40, but are 16 of 32 bits each.
#
# ## What comes out for a code that nobody encoded?
# A VAE's KL tells where to draw z. Here nothing did: a **prior over codes** is fitted afterwards, for codes are data.
# Three of them: all codes alike; each position by itself, by counting; and an **autoregressive** one, p(c) =
# Π_i p(c_i | c_1 ... c_i-1), a network that sees the words so far. -log2 p(c) is what c costs in a file whose writer
# and reader share p. **Predict before you run:** how many of the 32 bits does each save? What is drawn is judged as in
# lesson 01: by the squared distance from a test image to the nearest of 1,000 draws, where a VAE had 2.15.

# %%
KINDS, bits, draws, shown = ("all alike", "by position", "autoregressive"), {}, {}, {}
for seed in FEW:
    model = models["all of it"][seed]
    codes, held_out = model.encode(train), model.encode(test)  # 1437, P; 360, P
    learnt = tv.models.AutoregressivePrior(P, W, (128,), seed=seed)
    list(tv.train(learnt, codes, epochs=9, batch_size=B, seed=seed, optimizer=tv.Adam(5e-3)))
    for kind, prior in zip(KINDS, (model.codes_prior, tv.models.PositionPrior(P, W, codes), learnt)):
        model.codes_prior = prior
        images = model.sample(1000, np.random.default_rng(seed))  # 1000, D
        squares = (test**2).sum(axis=1)[:, None] + (images**2).sum(axis=1) - 2 * test @ images.T  # 360, 1000
        bits.setdefault(kind, []).append(-prior.log_prob(held_out).mean() / np.log(2))
        draws.setdefault(kind, []).append(squares.min(axis=1).mean())
        shown.setdefault(kind, images[:16])
for kind in KINDS:
    print(f"{kind:<14} {cell(bits[kind])} bits, drawing {cell(draws[kind])}")

fig, axes = plt.subplots(1, 4, figsize=(13, 3.9), layout="constrained")
copies = np.concatenate([test[:4], models["all of it"][0].reconstruct(test[:4]), product[0][:4]])  # 12, D
titles = [f"{kind}\n{np.mean(bits[kind]):.1f} bits, {np.mean(draws[kind]):.2f} off" for kind in KINDS]
for ax, title, images in zip(axes, ("copies from 32 bits", *titles), (copies, *shown.values())):
    tiles = np.pad(images.reshape(-1, 4, 8, 8), [(0, 0)] * 2 + [(0, 1)] * 2, constant_values=np.nan)
    ax.imshow(tiles.swapaxes(1, 2).reshape(-1, 36)[:-1, :-1], cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], title=title)
names = f"VQ-VAE\n{np.mean(ours):.2f} off", f"k-means,\nblocks\n{np.mean(product_error):.2f} off"
axes[0].set_yticks([3.5, 12.5, 21.5], ["digits", *names], fontsize=11)
fig.suptitle("Words learnt with the network copy best. To draw takes a prior that knows which words go together")
fig.savefig(FIGURES / "17_copies_and_draws.png", dpi=130)

# %% [markdown]
# At each position the words are nearly equally frequent, and 0.6 bits are saved. What order a code has is *between* its
# positions: who sees it needs 27.6 bits, and draws digits, 1.58 off where the draws by position are 2.07.
#
# So it is a VAE after all. p(x) = Σ_c p(c) p(x | c) is at least its term at the code c of x, so -log p(x) is at most
# -log p(x | c) - log p(c): lesson 02's bound, with a q that puts all its mass on one code. Its KL to the prior is
# -log p(c), finite because codes are discrete. In training all codes are alike, so it is P log W for every image: no
# slope, and nothing to be saved by ignoring the code, which lesson 12's encoder did. Nor has an easy image fewer bits.
#
# ## Then and now
# **Believed before:** a code must be made of plain numbers, since a choice has no slope; and a model must be told while
# it learns where its codes will be drawn. **Believe now:** the slope at the word will do, biased as it is, and where
# codes lie can be learnt afterwards. The model gains a size in bits, a code that it never pays to ignore, and a prior
# of any shape; it pays with a biased slope and with words that die.
# **The number that changed it:** 0.74 at 32 bits, where the same layers, quantized afterwards, have 0.83.
#
# **Sources:** van den Oord et al. 2017 (VQ-VAE, appendix A.1: moving averages); Bengio et al. 2013 (straight through);
# Lloyd 1982 (k-means); Jégou et al. 2011 (product quantization); Germain et al. 2015 (autoregression by masks).
#
# **Exercises:** `tinyvae exercise 17`
# - `slopes_across_words`: the truth and straight-through, for any words on a line.
# - `words_after_a_batch`: moving averages of words and their use, and which of the words are dead.
# - `bits_of_held_out_codes`: what codes cost by position, and where each is told by the one before it.
#
# ## The headline: the text's numbers are within five standard errors, and their rounding, of the mean over seeds


# %%
def close(number, values, rounding=0.005):
    error_of_mean = np.std(values, ddof=1) / np.sqrt(len(values))
    return abs(np.mean(values) - number) < 5 * error_of_mean + rounding


def above(more, less):
    middle, half = interval(np.subtract(more, less))  # run by run
    assert middle > half  # the interval leaves out zero
    return f"{middle:.2f} ± {half:.2f}"


assert np.allclose(slopes(two, A)[:2], (-2 * sigmoid(A) * sigmoid(-A), 1), atol=1e-12)
assert np.allclose((*slopes(many, A)[:2], np.pi**2 - 1 / 4), (9.602, 9.622, 9.620), atol=5e-4)
assert off < 1e-12 and apart < 1e-12 and close(0.74, ours)
assert close(2.02, copying["no slope"]) and close(1.4, copying["no commitment"], 0.05)
assert close(20, np.divide(sizes["no commitment"], sizes["all of it"][: len(FEW)]), 3)
assert close(128, said["without"], 13) and min(said["with revival"]) > 250
assert close(0.12, np.subtract(*errors.values()) * -1) and above(errors["without"], errors["with revival"])
assert close(0.82, product_error) and sum(interval(ours)) < np.subtract(*interval(product_error))
assert close(0.83, later) and close(0.40, plain)
assert close(31.4, bits["by position"], 0.05) and close(27.6, bits["autoregressive"], 0.05)
assert close(2.07, draws["by position"]) and close(1.58, draws["autoregressive"])
saved, nearer = (above(one["by position"], one["autoregressive"]) for one in (bits, draws))
print(
    f"Headline: at 32 bits, words learnt with the network copy better by {above(later, ours)} than words found later; "
    f"a prior that sees words together saves {saved} bits and draws nearer by {nearer}."
)
