"""What a failed certificate says of the mistake, in words: the right ones, and none where the numbers tell nothing."""

import functools

import numpy as np
import pytest
import test_certificate_mutants as more
import test_check as core

import tinyvae as tv
from tinyvae import check
from tinyvae.check.diagnosis import diagnose
from tinyvae.check.evidence import fit
from tinyvae.estimators import Draws, reparameterization, score_function

NAMES = (
    "quadratic",
    "coupled (z1 + z2 - 1.5)^2",
    "coupled, sampled KL",
    "quadratic, analytic KL, beta 3",
    "10000 x quadratic",
    "quadratic + 1000",
)
PROBLEMS = [p for p in check.default_problems() if p.name in NAMES]
QUADRATIC, COUPLED = ([p for p in PROBLEMS if p.name == name] for name in NAMES[:2])
BOUND = check.bound_problems((2,))


def said(estimator, problems=PROBLEMS, n_samples=(1, 2), seed=0):
    return " | ".join(check.unbiased(estimator, problems, n_samples, max_draws=20_000, seed=seed).perhaps)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(check.certificate, "PILOT", 2_000)
    monkeypatch.setattr(check.certificate, "FEWEST", 20_000)


@pytest.fixture
def few_calls(monkeypatch):
    monkeypatch.setattr(check.certificate, "CALLS", 1_500)  # a call each, where an estimator links the points


# --- further mistakes -----------------------------------------------------------------------------------------


def a_beginners_first(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    return Draws(target(z), q.path(target.grad(z), eps))


def uphill(q, target, eps, objective=None, rng=None):
    draws = reparameterization(q, target, eps, objective)
    return Draws(draws.f, -draws.dparams)


def uphill_in_mu(q, target, eps, objective=None, rng=None):
    draws = reparameterization(q, target, eps, objective)
    return Draws(draws.f, q.join(-draws.dmu, draws.dlogvar))


def half_of_f(q, target, eps, objective=None, rng=None):
    draws = reparameterization(q, target, eps, objective)
    return Draws(draws.f / 2, draws.dparams)


def centred_f(q, target, eps, objective=None, rng=None):
    draws = reparameterization(q, target, eps, objective)
    return Draws(draws.f - draws.f.mean(axis=0), draws.dparams)


OWN, AVERAGED = "(1 - 1/S) times the exact gradient", "1/S of the exact gradient: dparams are averaged"
OBJECTIVE = "it ignores `objective`; see `tv.objectives.Integrand`"
KNOWN = [  # the mistake, what is said, the S tried
    (a_beginners_first, f"unbiased wherever the KL is analytic, biased where it is sampled: {OBJECTIVE}", (1, 2)),
    (core.forgotten_sampled_kl, f"biased where it is sampled: {OBJECTIVE}", (1, 2)),
    (core.own_sample_in_the_baseline, f"its mean is {OWN}, 0 at S = 1", (2, 3)),
    (core.own_sample_in_the_baseline, "one S alone does not tell these apart", (2,)),
    (core.averaged_twice, AVERAGED, (1, 2, 3)),
    (core.logvar_as_logstd_in_the_sampler, "the log-variance is read as a log-std where z is sampled", (1, 2)),
    (core.logvar_as_logstd_in_the_score, "the log-variance is read as a log-std in the score", (1, 2)),
    (core.wrong_sign_of_the_scores_scale_term, "d/dlogvar is off by 1 times E[f]: the score's mean is not 0", (1, 2)),
    (core.missing_path_term_for_logvar, "d/dlogvar is 0 on average everywhere: a term is missing", (1, 2)),
    (core.half_the_path_term_for_logvar, "d/dlogvar is half of what it should be everywhere", (1, 2)),
    (core.clipped_signal, "or more: is the learning signal clipped or normalised?", (1, 2)),
    (core.normalised_signal, "times: is the learning signal normalised?", (2,)),
    (core.five_percent_too_long, "the whole gradient is 1.05", (1, 2)),
    (uphill, "the whole gradient is minus what it should be everywhere: the wrong sign", (1,)),
    (uphill_in_mu, "d/dmu is minus what it should be everywhere: the wrong sign", (1,)),
    (more.moving_average_that_holds_the_current_sample, "what it should be everywhere: a constant factor", (1, 2)),
    (more.half_the_score, "the whole gradient is half of what it should be everywhere", (1, 2)),
    (more.log_std_for_log_variance, "d/dlogvar is twice what it should be everywhere: a factor 1/2", (1,)),
    (more.leave_one_out_on_antithetic_pairs, "each sample's mirror image in its leave-one-out baseline", (2, 4)),
    (more.reversed_partner, f"its mean is {OWN}", (2, 3)),
    (more.analytic_kl_twice, "what is too much is the gradient of the analytic KL: that is the VAE's to add", (1, 2)),
    (more.f_without_the_sampled_kl, "no bias in the gradient, but f is not the loss: it lacks the sampled KL", (1, 2)),
    (half_of_f, "no bias in the gradient, but f is not the loss, it is 0.5 times the loss", (1,)),
    (centred_f, "it is 0 on average; was a baseline taken from it?", (2, 3)),
    (more.f_is_the_samples_mean, "it varies too little with several samples; is it their mean?", (1, 2)),
    (more.f_is_noisy, "right on average, it varies too much", (1, 2)),
]  # fmt: skip


@pytest.mark.parametrize("mistake, words, sizes", KNOWN, ids=lambda x: getattr(x, "__name__", ""))
def test_a_known_mistake_is_named(mistake, words, sizes, few_calls, monkeypatch):
    if any(part in words for part in ("sampled KL", "it varies", "the loss")):
        monkeypatch.setattr(check.certificate, "CALLS", 20_000)
    problems = PROBLEMS if "normalised" not in mistake.__name__ else [QUADRATIC[0], PROBLEMS[2]]
    found = said(mistake, problems, sizes)
    assert words in found, found
    if "alone" not in words:
        assert "|" not in found  # that, and nothing else


LINKED = [
    (more.baseline_from_the_current_batch, QUADRATIC, "(1 - 1/(S n)) times the exact gradient, n being the points"),
    (more.batch_mean_if_coupled, COUPLED, "(1 - 1/n) times the exact gradient, n being the points of a call"),
    (more.first_row_as_baseline, QUADRATIC, "only data point 0 of each call is wrong"),
    (more.neighbour_as_baseline, QUADRATIC, "biased only in calls of their own, with few data points"),
]


@pytest.mark.parametrize("mistake, problems, words", LINKED, ids=lambda x: getattr(x, "__name__", ""))
def test_a_dependence_on_other_points_is_named(mistake, problems, words, few_calls):
    found = said(mistake, problems, (2, 3))
    assert words in found and "the draws for a point depend on" in found and "|" not in found


ON_THE_BOUND = {
    more.dreg_averaged_over_its_samples: AVERAGED,
    more.weights_that_underflow: "do the samples' weights underflow",
}
STRANGE = [more.optimal_constant_from_all_samples, more.surrogate_without_its_path, core.doubled_entropy,
           more.surrogate_whose_path_has_the_wrong_sign, core.weighted_by_the_loss_attached]  # fmt: skip


@pytest.mark.parametrize("mistake", more.BOUNDS, ids=lambda mistake: mistake.__name__)
def test_on_the_bound_too_nothing_is_said_unless_it_is_known(mistake):
    found = said(mistake, BOUND, (2,))
    assert ON_THE_BOUND[mistake] in found if mistake in ON_THE_BOUND else found == ""


@pytest.mark.parametrize("mistake", STRANGE, ids=lambda mistake: mistake.__name__)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_of_a_strange_mistake_nothing_is_said(mistake, seed):
    certificate = check.unbiased(mistake, PROBLEMS, (2, 3), max_draws=20_000, seed=seed)
    assert certificate.failures and certificate.perhaps == () and "perhaps" not in certificate.report()


def test_a_correct_estimator_gets_no_diagnosis_and_a_chance_failure_no_wrong_one():
    assert check.unbiased("score_function", QUADRATIC, (1,), max_draws=20_000).perhaps == ()
    alarms = 0
    for seed in range(6):  # at an absurd level, most fail by chance
        certificate = check.unbiased("score_function", PROBLEMS[:3], (1,), level=1.0, max_draws=20_000, seed=seed)
        alarms += not certificate.passed
        assert certificate.perhaps == ()
    assert alarms


def test_the_diagnosis_stands_right_under_the_verdict():
    certificate = check.unbiased(core.averaged_twice, QUADRATIC, (1, 2), max_draws=20_000)
    lines = certificate.report().splitlines()
    assert lines[1].startswith("  perhaps: its mean is 1/S of the exact gradient")
    assert all("quadratic, S = 2, point" in line for line in lines[3 : 3 + len(certificate.failures)])


class Renamed(tv.DiagonalGaussian):
    """The same, under other names."""

    blocks = ("place", "width")

    def split(self, dparams):
        return dict(zip(self.blocks, super().split(dparams).values()))

    def moved(self, dparams, eps):
        raise NotImplementedError


@pytest.mark.parametrize("block, factor, words", [
    (1, 2, "d/dwidth is twice what it should be everywhere: a factor 1/2"), (0, 0, "d/dplace is 0 on average"),
    (0, -1, "d/dplace is minus what it should be everywhere: the wrong sign"), (1, 1.2, "d/dwidth is 1.2"),
])  # fmt: skip
def test_blocks_of_other_names_are_called_by_theirs(block, factor, words):
    def wrong(q, target, eps, objective=None, rng=None):
        draws = reparameterization(q, target, eps, objective)
        return Draws(draws.f, draws.dparams * np.repeat([factor, 1][:: 1 - 2 * block], q.mu.shape[1]))

    problems = [p._replace(q=Renamed(p.q.mu, p.q.logvar)) for p in [*QUADRATIC, *COUPLED]]
    found = said(wrong, problems, (1,))
    assert found.startswith(words) and "log-std" not in found and "|" not in found


def test_the_factors_fit_is_weighted_and_tells_noise_from_a_pattern():
    rng = np.random.default_rng(0)
    predicted, error = rng.standard_normal(50), rng.uniform(0.001, 0.1, 50)
    t, off, noise = fit(1.5 * predicted + error * rng.standard_normal(50), error, predicted)
    assert abs(t - 1.5) < 4 * off and off == pytest.approx(((predicted / error) ** 2).sum() ** -0.5) and noise
    assert not fit(1.5 * predicted + 10 * error * rng.standard_normal(50), error, predicted)[2]
    assert fit(predicted, error, 0 * predicted) == (0.0, np.inf, False)
    assert diagnose([], {}) == ()


def test_mistakes_in_a_wrapped_estimator_are_named_too():
    weighted = functools.partial(core.averaged_twice, rng=None)
    weighted.__name__ = "weighted"
    assert AVERAGED in said(lambda q, t, eps, o=None, rng=None: weighted(q, t, eps, o), QUADRATIC, (2, 3))
    assert said(score_function, QUADRATIC, (1,)) == ""
