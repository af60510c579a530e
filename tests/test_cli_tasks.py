"""On the command line: images drawn and walked through, holes filled in."""

import numpy as np
import pytest
from test_cli import PNG, run

import tinyvae as tv
from tinyvae import plots


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.npz"
    tv.VAE(64, 3, hidden=(16,), seed=3).save(path)
    return path


@pytest.fixture
def shown(monkeypatch):
    """The arguments of each figure of samples: images, shape, title, columns, rows."""
    calls, samples = [], plots.samples
    monkeypatch.setattr(plots, "samples", lambda *args: calls.append(args) or samples(*args))
    return calls


def test_without_a_walk_the_images_are_the_means_at_draws_from_the_prior(model, tmp_path, shown, capsys):
    assert run("sample", "--model", model, "--n", 12, "--seed", 4, "--out", tmp_path) == 0
    (images, shape, title, *_) = shown[0]
    np.testing.assert_array_equal(images, tv.VAE.load(model).sample(12, np.random.default_rng(4)))
    assert shape == (8, 8) and "means of p(x | z)" in title
    assert run("sample", "--model", model, "--n", 12, "--seed", 4, "--draw", "--out", tmp_path) == 0
    drawn, _, title, *_ = shown[1]
    assert set(np.unique(drawn)) == {0, 1} and "drawn from p(x | z)" in title
    assert (drawn == 1).mean() == pytest.approx(images.mean(), abs=4 * 0.5 / np.sqrt(drawn.size))  # the same codes
    assert (tmp_path / "samples.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    "walk, file, n, columns",
    [
        (["--manifold", "--n", 10], "manifold.png", 16, 4),
        (["--interpolate", "--n", 11], "interpolation.png", 20, 10),
        (["--traverse"], "traversal.png", 33, 11),
    ],
)
def test_a_walk_is_a_whole_grid(walk, file, n, columns, model, tmp_path, shown, capsys):
    assert run("sample", "--model", model, *walk, "--out", tmp_path) == 0
    ((images, _, _, across, rows),) = shown
    assert (len(images), across) == (n, columns) and len(rows) == (3 if "--traverse" in walk else 0)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_bytes().startswith(PNG)
    assert capsys.readouterr().out.endswith(f"{file}\n")


def test_images_have_the_shape_of_those_that_were_trained_on(tmp_path, shown, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((12, 4, 6), "float32"))
    words = ["--data", tmp_path / "x.npy", "--epochs", 1, "--hidden", 3, "--out", tmp_path]
    assert run("train", *words) == 0 == run("sample", "--model", tmp_path / "model.npz", "--out", tmp_path)
    assert shown[0][1] == tv.VAE.load(tmp_path / "model.npz").image_shape == (4, 6)
    assert run("sample", "--model", tmp_path / "model.npz", "--image-shape", 3, 8, "--out", tmp_path) == 0
    assert tuple(shown[1][1]) == (3, 8)


@pytest.fixture
def holes(tmp_path, digits):
    x = digits[:12].copy()
    x[:9, 32:] = np.nan
    path = tmp_path / "holes.npy"
    np.save(path, x)
    return path, x


def test_holes_are_filled_in(model, holes, tmp_path, capsys):
    path, x = holes
    out = tmp_path / "out"
    words = ["fill", model, "--data", path, "--n-draws", 3, "--n-steps", 7, "--seed", 2, "--out", out]
    assert run(*words) == 0
    draws = np.load(out / "filled.npy")
    expected = tv.evaluate.impute(tv.VAE.load(model), x, 3, np.random.default_rng(2), 7)
    np.testing.assert_array_equal(draws, expected)
    assert (out / "filled.png").read_bytes().startswith(PNG)
    text = capsys.readouterr().out
    assert "holes.npy: " in text and "missing (NaN): 288" in " ".join(text.split())
    assert "Filled in 288 values in 9 of 12 rows: 3 draws, each the end of 7 steps of metropolis within gibbs." in text
    assert "are grey" in text and max(map(len, text.split("Written:")[0].splitlines())) <= 118
    assert run(*words, "--method", "pseudo_gibbs") == 0
    assert not np.array_equal(np.load(out / "filled.npy"), draws)


@pytest.mark.parametrize(
    "data, message",
    [
        (
            np.zeros((3, 64), "float32"),
            "nothing is missing; mark what is to be filled in: NaN, an empty csv field, or a transparent pixel",
        ),
        (np.full((3, 60), [np.nan] + 59 * [0.0]), "has rows of 60 values, but "),
        (np.array([["a"]]), "data.npy: "),
        (np.full((1, 64), [np.nan] + 63 * [2.0]), "x must lie in [0, 1], got values from "),
        (np.array([[None]]), "data.npy: "),
    ],
    ids=["whole", "narrow", "words", "outside", "objects"],
)
def test_what_cannot_be_filled_in_is_one_line(data, message, model, tmp_path, capsys):
    np.save(tmp_path / "data.npy", data)
    out = tmp_path / "out"
    assert run("fill", model, "--data", tmp_path / "data.npy", "--out", out) == 2
    text = capsys.readouterr().err
    assert message in text and len(text.splitlines()) == 1 and not (out.exists() and list(out.iterdir()))


def test_words_that_do_not_fit_each_other_are_refused(model, holes, tmp_path, capsys):
    for words, message in (
        (
            ["sample", "--model", model, "--traverse", "--n", 3],
            "--traverse shows each latent in a row of its own: leave",
        ),
        (["sample", "--model", model, "--traverse", "--manifold"], "not allowed with argument"),
        (["fill", model], "the following arguments are required: --data"),
        (["fill", model, "--data", tmp_path / "no.npy"], "No such file"),
        (["fill", model, "--data", holes[0], "--n-draws", 10**9], "10**9 draws of 12 rows"),
    ):
        assert run(*words, *(["--out", tmp_path / "out"])) == 2
        assert message.replace("10**9", "1000000000") in capsys.readouterr().err


def test_a_hole_is_no_shade_of_grey_and_limits_follow_the_data(digits):
    x = digits[:3].astype("float64").copy()
    x[:, 20:30] = np.nan
    figure = plots.fillings(x, np.nan_to_num(np.stack([x, x])), (8, 8))
    greys, holes = figure.axes[0].images
    assert np.nansum(holes.get_array().filled(0)) == 30 and greys.get_clim() == (0, 1)
    assert plots.samples(digits[:3], (8, 8)).axes[0].images[0].get_clim() == (0, 1)
    assert plots.samples(255 * digits[:3], (8, 8)).axes[0].images[0].get_clim() == (0, 255)


def test_neighbours_stand_below_their_sample(digits):
    rows, _ = tv.evaluate.nearest(digits[:4], digits, 2)
    figure = plots.neighbours(digits[:4], digits[rows], (8, 8))
    picture = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(picture[:8, :8], picture[9:17, :8])  # its own nearest
    assert [text.get_text() for text in figure.axes[0].texts] == ["sample", "nearest 1", "nearest 2"]
