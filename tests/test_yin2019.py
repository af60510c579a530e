"""What the experiment yin2019 says of its runs: equal steps, equal evaluations, and which order can be told."""

import numpy as np
import pytest

from tinyvae import estimators
from tinyvae.reproduce import yin2019

BOUNDS = {"score_function": 150.0, "input_dependent": 110.0, "rebar": 107.0, "gumbel_softmax": 108.0, "arm": 107.9}
MOVED = "rebar", "gumbel_softmax"  # by the seed
COSTS = {"score_function": 1, "input_dependent": 1, "rebar": 5, "gumbel_softmax": 2, "arm": 2}


def made_up(spread, data="binarized_mnist"):
    """Three runs of five estimators that differ by what is known: bounds fall by 1 nat a measurement, to BOUNDS."""
    found, steps = {}, np.array([20, 40, 50, 100])
    for name, last in BOUNDS.items():
        for run, off in enumerate((-spread, 0, spread)):
            bound = last + off * (name in MOVED) + np.array([3.0, 2.0, 1.0, 0.0])
            curve = {"step": steps.tolist(), "bound": bound.tolist(), "variance": [4.0, 3.0, 2.0, 1.0 + run]}
            found[f"linear_{name}_{run + 1}"] = {
                "data": data, "model": "linear", "estimator": name, "cost": COSTS[name], "curve": curve,
                "score": last - 2 + off, "score_error": 0.3, "score_rows": 1000, "too_high": 0.1,
            }  # fmt: skip
    return found


def test_a_budget_is_so_many_evaluations_whatever_a_step_takes():
    results = made_up(0)
    at = {name: yin2019.at_budget(results[f"linear_{name}_1"]) - last for name, last in BOUNDS.items()}
    assert at == {"score_function": 0, "input_dependent": 0, "rebar": 3, "gumbel_softmax": 1, "arm": 1}


def test_an_order_is_told_where_the_intervals_tell_it():
    told = {row.quantity: row for row in yin2019.rows(made_up(0.05))}
    row = told["linear, -log p(x): score_function worse than input_dependent by"]
    assert row.published == 50.9 and row.measured == pytest.approx(40) and row.remark.endswith("as published")
    row = told["linear, -ELBO at equal steps: rebar worse than gumbel_softmax by"]
    assert row.measured == pytest.approx(-1) and row.high < 0 and row.published is None  # what they had is no bound
    assert row.remark == "gumbel_softmax is the worse, other than published"
    for what in ("-ELBO at equal steps", "-ELBO at equal evaluations"):
        assert told[f"linear, {what}: gumbel_softmax worse than arm by"].remark == "cannot be told from these runs"
    row = told["linear, -ELBO at equal evaluations: rebar worse than gumbel_softmax by"]  # which has had fewer steps
    assert row.measured == pytest.approx(1) and row.remark.startswith("rebar is the worse")
    row = told["linear, arm, variance of the encoder's gradient after 100 steps"]
    assert row.measured == pytest.approx(6 ** (1 / 3)) and row.low < 1 < 3 < row.high and row.remark.endswith("3.63")
    assert told["linear, arm, -log p(x)"].published == 107.2


def test_other_data_have_no_published_numbers():
    assert all(row.published is None for row in yin2019.rows(made_up(0.05, "digits")))


def test_the_interval_of_a_difference_is_that_of_runs_of_one_seed():
    """Three differences of standard deviation 1: Student's t of two degrees of freedom, 4.303 / sqrt(3)."""
    told = {row.quantity: row for row in yin2019.rows(made_up(1.0))}
    row = told["linear, -ELBO at equal steps: gumbel_softmax worse than arm by"]
    assert row.measured == pytest.approx(0.1) and row.high - row.measured == pytest.approx(2.484, abs=1e-3)
    row = told["linear, -ELBO at equal steps: rebar worse than gumbel_softmax by"]  # whose seeds move both alike
    assert row.high - row.low == pytest.approx(0, abs=1e-9)


def test_every_estimator_is_there_and_relax_has_its_temperature():
    assert {*yin2019.ESTIMATORS} >= {*BOUNDS} and {*yin2019.ESTIMATORS} <= {*estimators.names()}
    assert estimators.make("relax", **yin2019.OPTIONS["relax"]).temperature == 0.5
    for pair in yin2019.PAIRS:
        assert {*pair} <= {*yin2019.ESTIMATORS}
    for published in yin2019.PUBLISHED.values():  # each worse than the next
        assert all(published[one] > published[two] for one, two in zip(yin2019.NAMED, yin2019.NAMED[1:]))


def test_the_rows_say_what_their_intervals_do_not():
    found = yin2019.rows(made_up(0.05))
    n_told = sum("worse than" in row.quantity for row in found)
    assert n_told == 3 * 4  # by three quantities, of the pairs that are there
    assert f"of the {n_told} differences, {0.05 * n_told:.2g} would be told by chance" in found[0].remark
    named = {row.quantity: row.remark for row in found}
    assert named["linear, arm, -ELBO at equal steps"] == "after 100 steps"
    assert named["linear, arm, -ELBO at equal evaluations"] == "read after 50 steps of 2 each"
    assert named["linear, rebar, -ELBO at equal evaluations"] == "read after 20 steps of 5 each"
    biased = [quantity for quantity, remark in named.items() if "biased" in remark]
    assert biased == ["linear, gumbel_softmax, variance of the encoder's gradient after 100 steps"]
    other = made_up(0.05)
    for one in other.values():
        one["curve"]["step"] = [25, 40, 50, 100]
    remark = next(
        row.remark for row in yin2019.rows(other) if row.quantity.startswith("linear, rebar, -ELBO at equal e")
    )
    assert remark == "read after 25 steps of 5 each, +25% of the budget"
