"""Published experiments by one command: what is run, kept, refused, and written."""

import pytest

from tinyvae import reproduce

NAMES = reproduce.names()


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_shows_what_the_command_asks_for(name):
    experiment = reproduce.find(name)
    assert set(experiment.RECIPES) == {"short", "full", "miniature"} and experiment.TITLE and experiment.SOURCE
    assert 0 < experiment.MINUTES["short"] <= 60 and experiment.MINUTES["full"] >= experiment.MINUTES["short"]


@pytest.mark.parametrize("name", NAMES)
def test_a_miniature_runs_twice_to_the_same_numbers(name, tmp_path):
    experiment, found = reproduce.find(name), []
    for run in "ab":
        found.append(reproduce.run(name, experiment, experiment.RECIPES["miniature"], 3, tmp_path / run))
    assert found[0].results == found[1].results
    assert all(isinstance(row, reproduce.Row) for row in experiment.rows(found[0].results))
    assert experiment.figure(found[0].results).axes
