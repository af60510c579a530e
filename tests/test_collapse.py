"""The line that says that the KL has collapsed, and what an epoch's line calls the reconstruction."""

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.training import history

SAID = "the posterior has collapsed"


def lines(x, capsys, epochs=40, model=(64, 2, (32,)), **options):
    """What `fit` prints."""
    tv.fit(tv.VAE(*model), x, epochs=epochs, **{"optimizer": tv.Adam(1e-2), **options})
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("beta", [64.0, 10.0])  # 64: a loss that is a mean over the pixels
def test_a_collapse_is_told_once_and_what_helps(beta, digits, capsys):
    printed = lines(digits, capsys, objective=tv.ELBO(beta))
    (told,) = [line for line in printed if SAID in line]
    assert "smaller beta" in told and "warm-up" in told and "tv.FreeBits" in told
    kl = float(printed[printed.index(told) - 1].rpartition("KL ")[2])
    assert kl < history.NOTHING and f"{kl:.2f}" == f"{float(told.split()[1]):.2f}"


def test_a_warm_up_that_ends_in_a_collapse_is_told_where_it_collapses(digits, capsys):
    warm = tv.ELBO(tv.schedules.Linear(0.0, 10.0, 15 * 5))
    printed = lines(digits, capsys, 60, objective=warm)
    (at,) = [i for i, line in enumerate(printed) if SAID in line]
    assert at > 15


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": tv.ELBO(tv.schedules.Linear(0.0, 1.0, 100))},
        {"objective": tv.FreeBits(0.1)},
        {"objective": tv.ImportanceWeighted(), "n_samples": 5},
        {"optimizer": tv.Adam(1e-5)},  # next to nothing is learnt in this time
        {"estimator": "score_function", "optimizer": tv.Adam(1e-3)},
    ],
    ids=["plain", "warm-up", "free bits", "importance-weighted", "slow", "score function"],
)
def test_a_healthy_run_is_left_alone(options, digits, capsys):
    assert not [line for line in lines(digits, capsys, **options) if SAID in line]


def test_an_autoencoder_has_nothing_to_collapse(digits, capsys):
    tv.fit(tv.Autoencoder(64, 2, (8,)), digits, epochs=20)
    assert SAID not in capsys.readouterr().err


def run(kl, reconstruction):
    """Records of epochs of 20 steps with such means."""
    pairs = [(k, r) for k, r in zip(kl, reconstruction) for _ in range(20)]
    return [history.Record(i, 1 + (i - 1) // 20, k + r, r, k, 0.0) for i, (k, r) in enumerate(pairs, 1)]


LOW = np.full(12, 0.01)
FLAT = np.r_[50.0, 40, 30, np.full(9, 27.0)]


@pytest.mark.parametrize(
    "kl, reconstruction, told",
    [
        (LOW, FLAT, True),
        (LOW, np.linspace(50, 27, 12), False),  # the decoder still learns
        (np.geomspace(1e-3, 0.04, 12), FLAT, False),  # the KL grows: a slow start
        (np.r_[LOW[1:], 0.06], FLAT, False),
        (LOW[:5], FLAT[:5], False),  # too early to tell
        (LOW, np.full(12, 27.0), False),  # nothing has happened at all
        (LOW, FLAT + 0.2 * np.resize([1, -1], 12), True),  # with noise
    ],
)
def test_the_rule(kl, reconstruction, told):
    found = history.collapsed(run(kl, reconstruction), 20)
    assert found == (pytest.approx(kl[-1]) if told else None)


@pytest.mark.parametrize(
    "likelihood, scale, term",
    [
        ("bernoulli", 1, "cross-entropy"),
        ("continuous_bernoulli", 1, "reconstruction"),
        ("squared_error", 1, "squared error"),
        ("bernoulli", 0, "reconstruction"),
    ],
)
def test_an_epochs_line_calls_the_term_what_it_is(likelihood, scale, term, digits, capsys):
    x = digits[:60] if scale else (digits[:60] > 0.5)
    for objective in (tv.ELBO(), tv.ImportanceWeighted()):
        model = tv.VAE(64, 2, (8,), likelihood=likelihood)
        if objective == tv.ELBO() or likelihood != "squared_error":
            tv.fit(model, x, epochs=1, objective=objective)
            assert f" {term} " in capsys.readouterr().err
    assert tv.likelihoods.term(np.asarray(x), model.likelihood) == term
