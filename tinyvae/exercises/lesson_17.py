"""Judges of lesson 17: slopes across words, moving averages of words, and what held-out codes cost."""

import numpy as np

from tinyvae.exercises.contract import Wrong, array, call, close, off, several
from tinyvae.models.codes_prior import PositionPrior
from tinyvae.models.quantization import nearest

__all__ = ["slopes_across_words", "words_after_a_batch", "bits_of_held_out_codes"]


def slopes_across_words(answer):
    """Judge the truth and straight-through, up to rounding.

    Parameters
    ----------
    answer : callable
        (words, a, f, slope_of_f) -> two numbers.

    Raises
    ------
    Wrong
        If one of the two is off.
    """
    for words, a, f, slope in (
        ([-0.7, 1.9], 0.8, np.exp, np.exp),
        ([-2.0, -0.5, 0.4, 3.0], -0.6, lambda e: e**3 - e, lambda e: 3 * e**2 - 1),
        ([1.1, -1.6, 2.7], 1.3, lambda e: np.sin(2 * e), lambda e: 2 * np.cos(2 * e)),
        ([0.7], 0.4, np.exp, np.exp),
    ):
        words = np.array(words)
        parts = several(call(answer, words, a, f, slope), 2, "the result (truth, straight through)")
        truth, through = (float(array(part, (), what)) for part, what in zip(parts, ("the truth", "straight through")))
        ordered = np.sort(words)
        middles = (ordered[1:] + ordered[:-1]) / 2
        jumps, straight = np.diff(f(ordered)), _mass(middles - a) @ slope(ordered)
        right = _density(middles - a) @ jumps
        where = f"for the words {', '.join(f'{word:g}' for word in words)} and a = {a:g}"
        if not close(truth, right):
            as_given = (words[1:] + words[:-1]) / 2
            for mistake, value in {
                "the sign is wrong: with a larger a, z crosses upwards": -right,
                "that is 0, the slope of a single image's loss: the mean of many has another": 0.0,
                "that is straight-through": straight,
                "z is x + a, not x - a": _density(middles + a) @ jumps,
                "that is without a: whose density is it?": _density(middles) @ jumps,
                "the density is taken at words, and z crosses between them": _density(ordered[:-1] - a) @ jumps,
                "the density is taken at words, not where z crosses": _density(ordered[1:] - a) @ jumps,
                "a probability stands where a density should": _sigmoid(middles - a) @ jumps,
                "the jumps of the words stand there, not those of f": _density(middles - a) @ np.diff(ordered),
                "the words come in any order: who are neighbours?": _density(as_given - a) @ np.diff(f(words)),
                "each jump is divided by its length, but z's whole mass there jumps all of it":
                    _density(middles - a) @ (jumps / np.diff(ordered)),
            }.items():  # fmt: skip
                if close(truth, value) and abs(value - right) > 1e-3:
                    raise Wrong(f"{where}, the truth: {mistake}")
            raise Wrong(f"{where}, the truth is {off(truth, right)}")
        if not close(through, straight):
            for mistake, value in {
                "that is the truth": right,
                "that is the mean of f, not of its slope": _mass(middles - a) @ f(ordered),
                "all words count alike: how likely is each?": slope(ordered).mean(),
                "it is a sum over words: how likely is each?": slope(ordered).sum(),
                "z is x + a, not x - a": _mass(middles + a) @ slope(ordered),
                "that is without a": _mass(middles) @ slope(ordered),
                "the probabilities are those of the words in order, the slopes are not":
                    _mass(middles - a) @ slope(words),
            }.items():  # fmt: skip
                if close(through, value):
                    raise Wrong(f"{where}, straight through: {mistake}")
            raise Wrong(f"{where}, straight through is {off(through, straight)}")


def words_after_a_batch(answer):
    """Judge words, use and the dead after a batch, up to rounding.

    Parameters
    ----------
    answer : callable
        (words, use, z, decay, revive) -> words (n, C), use (n,), dead (n,).

    Raises
    ------
    Wrong
        If one of the three is off.
    """
    rng = np.random.default_rng(0)
    for n, size, m, decay, revive, empty in (
        (3, 2, 12, 0.9, 0.1, 0), (5, 3, 9, 0.5, 0.5, 1), (4, 1, 30, 0.0, 0.2, 2), (6, 2, 4, 0.99, 0.3, 6),
    ):  # fmt: skip
        words, z = rng.standard_normal((n, size)), rng.standard_normal((m, size))
        words[-1] += 8 * (n > 3)  # which no vector chooses
        use = rng.uniform(1, 6, n)
        use[:empty] = 0
        own = np.eye(n)[nearest(z, words)]  # m, n
        counts, sums = own.sum(axis=0), own.T @ z  # n; n, C
        new_use = decay * use + (1 - decay) * counts  # n
        step = (sums - counts[:, None] * words) / np.maximum(new_use, 1e-300)[:, None]  # n, C
        new_words, dead = words + (1 - decay) * step, new_use < revive * new_use.mean()  # n, C; n
        parts = several(call(answer, words, use, z, decay, revive), 3, "the result (words, use, dead)")
        where = f"with {n} words, {m} vectors, decay {decay:g}"
        got_use, got = array(parts[1], (n,), f"{where}, the use"), _array(parts[0], (n, size), f"{where}, the words")
        if not close(got_use, new_use):
            for mistake, value in {
                "these are the batch's counts: what is kept?": counts,
                "decay is what is kept, not what is new": (1 - decay) * use + decay * counts,
                "the counts are added to all that is kept: they have a weight, too": decay * use + counts,
                "these are shares, not counts": decay * use + (1 - decay) * counts / m,
                "it is as it was": use,
            }.items():
                if close(got_use, value):
                    raise Wrong(f"{where}, the use: {mistake}")
            raise Wrong(f"{where}, the use is {off(got_use, new_use)}")
        if not close(got, new_words):
            means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], words)  # n, C
            for mistake, value in {
                "those are the batch's means: what is kept?": means,
                "decay times the word and the rest of the batch's mean, however many vectors chose it and did before":
                    np.where(counts[:, None] > 0, decay * words + (1 - decay) * means, words),
                "decay is what is kept, not what is new": words + decay * step,
                "the step is not weighted by what is new": words + step,
                "a word that no vector chose is drawn to 0": np.where(counts[:, None] > 0, new_words, decay * words),
                "a word that no vector chose becomes 0": np.where(counts[:, None] > 0, new_words, 0),
                "the sums of a word go by its new N, and by its old N its own weight":
                    (use[:, None] * words + (1 - decay) * sums) / np.maximum(new_use, 1e-300)[:, None],
                "they are as they were": words,
                "the sign of the step is wrong: words go to the vectors": words - (1 - decay) * step,
                "the dead are not moved here": np.where(dead[:, None], got, new_words),
            }.items():  # fmt: skip
                if close(got, value):
                    raise Wrong(f"{where}, the words: {mistake}")
            raise Wrong(f"{where}, the words are {off(got, new_words)}")
        flags = np.asarray(parts[2])
        found = array(flags.astype(int) if flags.dtype == bool else parts[2], (n,), f"{where}, the dead")
        if not np.array_equal(found != 0, dead):
            for mistake, value in {
                "these are the living": ~dead,
                "the mean of the new N is the measure, not revive alone": new_use < revive,
                "the old N is asked, not the new": use < revive * use.mean(),
                "a word that this batch did not choose is not dead by that": counts == 0,
                "the batch alone is asked, and not what came before it": counts < revive * counts.mean(),
                "the sum of all N stands for their mean": new_use < revive * new_use.sum(),
            }.items():
                if np.array_equal(found != 0, value):
                    raise Wrong(f"{where}, the dead: {mistake}")
            raise Wrong(f"{where}, the dead: {np.sum((found != 0) != dead)} of {n} are wrong")


def bits_of_held_out_codes(answer):
    """Judge what codes cost by position and as a chain, up to rounding.

    Parameters
    ----------
    answer : callable
        (codes, held_out, n_words) -> two numbers.

    Raises
    ------
    Wrong
        If one of the two is off.
    """
    rng = np.random.default_rng(1)
    for n, m, positions, n_words in ((40, 15, 4, 3), (9, 6, 3, 5), (25, 30, 2, 4)):
        every = rng.integers(0, n_words, (n + m, positions))  # n + m, P
        for i in range(1, positions):
            same = rng.random(n + m) < 0.6
            every[same, i] = (every[same, i - 1] + 1) % n_words
        codes, held_out = every[:n], every[n:]
        parts = several(call(answer, codes, held_out, n_words), 2, "the result (by position, chain)")
        got = [float(array(part, (), what)) for part, what in zip(parts, ("by position", "the chain"))]
        where = f"with {n} codes, {m} held out, {positions} positions of {n_words} words"
        alone, chain = (-one.mean() / np.log(2) for one in _log_probs(codes, held_out, n_words))
        fitted = [-one.mean() / np.log(2) for one in _log_probs(codes, codes, n_words)]
        after = [-one.mean() / np.log(2) for one in _log_probs(codes, held_out, n_words, shared=1.0 * n_words)]
        bare = [-one.mean() / np.log(2) for one in _log_probs(codes, held_out, n_words, shared=1e-12)]
        both = np.concatenate([codes, held_out])
        seen = [-one.mean() / np.log(2) for one in _log_probs(both, held_out, n_words)]
        for i, (right, name) in enumerate(((alone, "by position"), (chain, "the chain"))):
            if close(got[i], right):
                continue
            for mistake, value in {
                "these are nats": right * np.log(2),
                "the sign is wrong: a cost is not negative": -right,
                "it is a sum over the rows": right * m,
                "it is a mean over positions: a code costs all of them": right / positions,
                "that is the cost of the codes that the prior is fitted to": fitted[i],
                "the held-out codes were counted, too": seen[i],
                "a whole observation is added to each word, where one is shared by all": after[i],
                "nothing is added to the counts: what of a word that was never seen?": bare[i],
                "that is the other one of the two": chain if i == 0 else alone,
                "that is the code of words that are all alike": positions * np.log2(n_words),
                "all positions share one table": -_pooled(codes, held_out, n_words)[i].mean() / np.log(2),
                "that is the joint probability of two neighbours: what is given counts twice":
                    -_joint(codes, held_out, n_words).mean() / np.log(2),
                "the first position is missing": chain + _first(codes, held_out, n_words).mean() / np.log(2),
            }.items():  # fmt: skip
                if close(got[i], value):
                    raise Wrong(f"{where}, {name}: {mistake}")
            raise Wrong(f"{where}, {name} is {off(got[i], right)}")


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _density(a):
    return _sigmoid(a) * _sigmoid(-a)


def _mass(edges):
    """How likely the words are between edges of the logistic distribution, (n - 1,) -> (n,)."""
    return np.diff(np.concatenate([[0], _sigmoid(edges), [1]]))


def _array(value, shape, what):
    """As `array`, but a word that nobody ever said may have come out of 0 / 0, which is named."""
    found = np.asarray(value) if value is not None else None
    if found is not None and found.shape == shape and found.dtype.kind == "f" and np.isnan(found).any():
        count = np.isnan(found).any(axis=1).sum()
        raise Wrong(f"{what}: {count} of {len(found)} are NaN; what if no vector has chosen a word so far?")
    return array(value, shape, what)


def _first(codes, held_out, n_words, shared=1.0):
    """log p_1 of the held-out codes' first words, (m,)."""
    counts = np.bincount(codes[:, 0], minlength=n_words)
    return np.log((counts + shared / n_words) / (counts.sum() + shared))[held_out[:, 0]]


def _log_probs(codes, held_out, n_words, shared=1.0):
    """log p of held-out codes by position and as a chain, (m,) each; `shared` observations more in each table's row."""
    if shared == 1:
        alone = PositionPrior(codes.shape[1], n_words, codes).log_prob(held_out)
    else:
        alone = sum(_first(codes[:, i:], held_out[:, i:], n_words, shared) for i in range(codes.shape[1]))
    chain = _first(codes, held_out, n_words, shared)
    for i in range(1, codes.shape[1]):
        table = np.full((n_words, n_words), shared / n_words)  # the word before, this one
        np.add.at(table, (codes[:, i - 1], codes[:, i]), 1)
        chain = chain + np.log(table / table.sum(axis=1, keepdims=True))[held_out[:, i - 1], held_out[:, i]]
    return alone, chain


def _pooled(codes, held_out, n_words):
    """As `_log_probs`, with one table for all positions."""
    everywhere = codes.reshape(-1, 1)
    alone = sum(_first(everywhere, held_out[:, i:], n_words) for i in range(codes.shape[1]))
    table = np.full((n_words, n_words), 1 / n_words)
    np.add.at(table, (codes[:, :-1].ravel(), codes[:, 1:].ravel()), 1)
    steps = np.log(table / table.sum(axis=1, keepdims=True))[held_out[:, :-1], held_out[:, 1:]]  # m, P - 1
    return alone, _first(codes, held_out, n_words) + steps.sum(axis=1)


def _joint(codes, held_out, n_words):
    """The chain with p(before, this) where p(this | before) belongs, (m,)."""
    found = _first(codes, held_out, n_words)
    for i in range(1, codes.shape[1]):
        table = np.full((n_words, n_words), 1 / n_words)
        np.add.at(table, (codes[:, i - 1], codes[:, i]), 1)
        found = found + np.log(table / table.sum())[held_out[:, i - 1], held_out[:, i]]
    return found
