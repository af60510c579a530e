import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colors, image

from tinyvae import estimators, plots

NAMES = estimators.names()[:3]
COLOURED = [name for name in estimators.names() if name in plots.COLORS]  # a new one is drawn like a reader's own


def curves():
    steps = [0, 10, 20]
    return {
        "variance": {
            "steps": steps,
            "variances": {
                name: [(v, 0.9 * v, 1.1 * v) for v in (i + 1.0, i + 2.0, i + 3.0)] for i, name in enumerate(NAMES)
            },
        },
        "step": dict.fromkeys(NAMES, steps),
        "seconds": dict.fromkeys(NAMES, [0.0, 1.0, 2.0]),
        "elbo": {name: [-40.0, -30.0 - i, -25.0 - i] for i, name in enumerate(NAMES)},
    }


def pictures(rng):
    x = rng.random((12, 64))
    return {
        "reconstructions": {"originals": x[:4], "models": {name: x[4:8] for name in NAMES}, "image_shape": (8, 8)},
        "samples": {"images": x, "image_shape": (8, 8)},
        "latents": {"mu": rng.standard_normal((12, 2)), "labels": np.arange(12) % 10},
    }


FIGURES = {
    "variance_along_training": lambda rng: plots.variance_along_training(**curves()["variance"]),
    "bounds": lambda rng: plots.bounds(curves()["step"], curves()["elbo"]),
    "training": lambda rng: plots.training(
        [1, 2], {"reconstruction": [3, 2], "kl": [1, 1]}, {"reconstruction": [3, 3], "kl": [1, 2]}
    ),
    "training, no validation": lambda rng: plots.training([1], {"reconstruction": [3], "kl": [1]}, {}),
    "variances": lambda rng: plots.variances({"mu": {name: (2.0, 1.0, 3.0) for name in NAMES}}),
    "variances of zero": lambda rng: plots.variances({"mu": {name: (0.0, 0.0, 0.0) for name in NAMES}}),
    "variances and prices": lambda rng: plots.variances(
        {"mu": {name: (2.0, 0.0, np.inf) for name in NAMES}}, {"mu x ms": {name: (2.0, 1.0, 3.0) for name in NAMES}}
    ),
    "along": lambda rng: plots.along(
        ["a", "b"], [1.0, 0.0], *[{name: [(2.0, 1.0, 3.0), (0.0, 0.0, 1.0)] for name in NAMES}] * 2
    ),
    "along temperature": lambda rng: plots.along_temperature(
        [0.1, 1.0],
        {name: [(0.0, 0.0, 0.1), (2.0, 1.0, 3.0)] for name in NAMES},
        {name: [(2.0, 1.9, 2.1)] * 2 for name in NAMES},
        dict(zip(NAMES, (0.5, 0.0, np.inf))),
    ),
    "decomposition": lambda rng: plots.decomposition(
        {name: {"encoder": {"share": (-0.1, 0.0, 0.3)}, "decoder": {"share": (0.5, 0.3, 0.7)}} for name in NAMES}
    ),
    "evaluation": lambda rng: plots.evaluation(rng.random(5), 1 + 99 * rng.random(30), 100),
    "codes": lambda rng: plots.codes(rng.integers(0, 9, 6), 1 + 5 * rng.random(3)),
    "evaluation, one latent": lambda rng: plots.evaluation(rng.random(1), np.ones(3), 2),
    "samples": lambda rng: plots.samples(rng.random((13, 560)), (28, 20)),
    "reconstructions": lambda rng: plots.reconstructions(**pictures(rng)["reconstructions"]),
    "latents": lambda rng: plots.latents(**pictures(rng)["latents"]),
    "one latent": lambda rng: plots.latents(rng.standard_normal((5, 1)), np.arange(5)),
    "five latents": lambda rng: plots.latents(rng.standard_normal((5, 5)), np.arange(5)),
    "samples seen": lambda rng: plots.samples_seen(
        {
            "digits": {
                f"{k} latents": {"train": ([1, 9, 90], [-3, -2, -k]), "held out": ([1, 9, 90], [-4, -3, -2])}
                for k in (1, 2)
            },
            "faces": {"2 latents": {name: ([5, 50], [1, 2]) for name in ("train", "held out", "end of the film")}},
        }
    ),
    "densities and images": lambda rng: plots.densities_and_images(
        {"one": (5.0, 4.0, 6.0), "two, so": (2.0, 2.0, 2.0)}, {name: rng.random((4, 64)) for name in "ab"}, (8, 8)
    ),
    "compare": lambda rng: plots.compare(curves(), pictures(rng)),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_each_figure_is_written_and_opens(name, tmp_path):
    path = tmp_path / "figure.png"
    plots.save(FIGURES[name](np.random.default_rng(0)), path)
    picture = image.imread(path)
    assert picture.shape[0] > 100 and picture.shape[1] > 200
    assert picture[..., :3].min() < 0.3 and picture[..., :3].max() == 1  # ink on white
    assert os.listdir(tmp_path) == ["figure.png"]


def test_the_same_figure_twice_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        plots.save(FIGURES["bounds"](np.random.default_rng(0)), tmp_path / name)
    for suffix in ("png", "svg"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        plots.save(FIGURES["bounds"](np.random.default_rng(0)), path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["figure.png"]


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        plots.save(FIGURES["bounds"](np.random.default_rng(0)), tmp_path / "figure.xyz")
    assert not os.listdir(tmp_path)


def test_an_estimator_looks_the_same_everywhere_and_like_no_other():
    looks = [tuple(plots.style(name).values()) for name in COLOURED]
    assert len(set(looks)) == len(looks)
    own = [f"a_reader_s_own_{i}" for i in range(4)]
    assert len({plots.style(name)["color"] for name in own}) == 4 and not {
        plots.style(name)["color"] for name in own
    } & set(plots.PALETTE)
    assert len({plots.marker(name) for name in own}) == 4 and "o" not in map(plots.marker, own)
    assert plots.style(own[2]) == plots.style(own[2]) and plots.marker(NAMES[0]) == "o"
    figure = plots.compare(curves(), pictures(np.random.default_rng(0)))
    top = [axes for sub in figure.subfigs for axes in sub.axes][:3]
    for axes in top:
        assert [colors.to_hex(line.get_color()).upper() for line in axes.lines] == [
            plots.style(name)["color"] for name in NAMES
        ]
        assert axes.get_xlabel() and axes.get_ylabel()


# --- no colour twice, whatever the order --------------------------------------------------------------


def test_no_two_built_in_estimators_share_a_colour():
    names = COLOURED
    looks, marks = plots.styles(names), plots.markers(names)
    assert list(looks) == list(marks) == names and len(looks) >= 13
    drawn = [colors.to_rgb(look["color"]) for look in looks.values()]
    assert len(set(drawn)) == len(drawn)
    assert all(np.dot(rgb, (0.2126, 0.7152, 0.0722)) < 0.7 for rgb in drawn)  # dark enough for a line on white
    for name in names:
        assert looks[name] == plots.style(name) and marks[name] == "o"  # the same in every figure
    first = ("reparameterization", "score_function", "leave_one_out", "constant_baseline", "moving_average")
    assert [looks[name]["color"] for name in first] == ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]


@pytest.mark.parametrize("n", [1, 2, 8, 9, 12, 100])
def test_estimators_of_a_readers_own_share_no_colour_and_no_marker(n):
    own = [f"mine_{i}" for i in range(n)]
    names = [*own, *COLOURED]
    looks, marks = plots.styles(names), plots.markers(names)
    drawn = {colors.to_rgb(look["color"]) for look in looks.values()} | {colors.to_rgb("black")}
    assert len(drawn) == n + len(COLOURED) + 1
    assert len({marks[name] for name in own}) == n and "o" not in {marks[name] for name in own}
    figure = plots.bounds(dict.fromkeys(names, [0, 1]), dict.fromkeys(names, [0.0, 1.0]))
    assert len({colors.to_rgb(line.get_color()) for line in figure.axes[0].lines}) == n + len(COLOURED)
    triples = dict.fromkeys(names, [(2.0, 1.0, 3.0), (2.0, 1.0, 3.0)])
    lines = plots.along(["a", "b"], [1.0, 2.0], triples, triples).axes[0].lines
    assert len({str(line.get_marker()) for line in lines}) == n + 1


def test_a_value_of_0_is_left_out_of_a_log_axis_and_said_to_be():
    found = {"mine": [(2.0, 1.0, 3.0), (0.0, 0.0, 1.0), (4.0, 1.0, 5.0)]}
    axes = plots.along(["a", "b", "c"], [1.0, 2.0, 3.0], {"mine": [(2.0, 1.0, 3.0)] * 3}, found).axes
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), [2, np.nan, 4])
    assert axes[1].get_xlabel() == "left out where it is 0" and axes[0].get_xlabel() == ""
    assert axes[1].get_ylim()[0] == 0.5  # its band, from 0 to 1, starts there


def test_the_order_of_names_and_what_was_drawn_before_do_not_matter():
    names = [*(f"mine_{i}" for i in range(12)), *COLOURED]
    looks, marks = plots.styles(names), plots.markers(names)
    alone = {name: plots.style(name) for name in names}
    rng = np.random.default_rng(0)
    for _ in range(5):
        mixed = [names[i] for i in rng.permutation(len(names))]
        assert plots.styles(mixed) == looks and plots.markers(mixed) == marks and list(plots.styles(mixed)) == mixed
        assert {name: plots.style(name) for name in mixed} == alone
    assert plots.styles(iter(names)) == looks and plots.styles(names + names) == looks
    script = """
import sys
from tinyvae import plots
for name in sys.argv[2:]:
    plots.style(name), plots.marker(name)
print(plots.style(sys.argv[1]), plots.marker(sys.argv[1]))
"""
    for before in ([], ["mine_1", "mine_0"]):
        done = subprocess.run([sys.executable, "-c", script, "mine_2", *before], capture_output=True, text=True)
        assert done.stdout.strip() == f"{alone['mine_2']} {plots.marker('mine_2')}", done.stderr


def test_a_built_in_estimator_without_a_colour_of_its_own_is_drawn_like_a_readers(monkeypatch):
    monkeypatch.delitem(plots.COLORS, "relax")
    looks = plots.styles(estimators.names())
    assert looks["relax"]["color"] in plots.OWN and plots.marker("relax") in plots.MARKERS
    assert len({look["color"] for look in looks.values()}) == len(estimators.names())


@pytest.mark.filterwarnings("error")
def test_every_marker_can_be_drawn(tmp_path):
    names = [f"mine_{i}" for i in range(20)]
    plots.save(plots.variances({"mu": {name: (2.0, 1.0, 3.0) for name in names}}), tmp_path / "figure.png")
    assert image.imread(tmp_path / "figure.png").shape[0] > 100


# --- the rest -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [1, 7, 250])
def test_one_epoch_is_one_tick(epoch):
    terms = {"reconstruction": [3.0], "kl": [1.0]}
    figure = plots.training([epoch], terms, terms)
    for axes in figure.axes:
        figure.draw_without_rendering()
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [epoch]
        assert [label.get_text() for label in axes.get_xticklabels()] == [str(epoch)]
        assert axes.xaxis.get_offset_text().get_text() == ""


@pytest.mark.parametrize("epochs", [[1, 2], [1, 2, 3], [99, 100], list(range(1, 41))])
def test_ticks_of_epochs_are_whole_and_differ(epochs):
    terms = {"reconstruction": [3.0] * len(epochs), "kl": [1.0] * len(epochs)}
    figure = plots.training(epochs, terms, {})
    for axes in figure.axes:
        figure.draw_without_rendering()
        low, high = axes.get_xlim()
        ticks = [(tick, label.get_text()) for tick, label in zip(axes.get_xticks(), axes.get_xticklabels())]
        shown = [(tick, text) for tick, text in ticks if low <= tick <= high]
        assert len(shown) > 1 and all(text == str(int(tick)) and tick == int(tick) for tick, text in shown)


def test_grey_pixels_have_a_cross_entropy_in_the_title():
    terms = {"reconstruction": [3], "kl": [1]}
    assert plots.training([1], terms, {}).axes[0].get_title("left") == "Reconstruction: -log p(x | z)"
    assert plots.training([1], terms, {}, "cross-entropy").axes[0].get_title("left") == "Reconstruction: cross-entropy"


def test_names_beside_the_lines_do_not_overlap():
    figure = plots.bounds(dict.fromkeys(NAMES, [0, 1, 2]), dict.fromkeys(NAMES, [1.0, 2.0, 3.0]))
    heights = sorted(text.get_position()[1] for text in figure.axes[0].texts)
    assert len(heights) == 3 and np.diff(heights).min() > 0.079 and heights[-1] <= 1


def test_many_names_stay_beside_the_axes():
    names = [f"mine_{i}" for i in range(25)]
    figure = plots.bounds(dict.fromkeys(names, [0, 1, 2]), dict.fromkeys(names, [1.0, 2.0, 3.0]))
    heights = sorted(text.get_position()[1] for text in figure.axes[0].texts)
    assert np.diff(heights).min() > 0.04 and heights[0] > -1e-9 and heights[-1] <= 1


def test_tiles_keep_each_image_upright_in_reading_order():
    images = np.arange(3 * 6).reshape(3, 6) / 18
    tiled = plots.tile(images, (2, 3), columns=2)
    np.testing.assert_array_equal(tiled[:2, :3], images[0].reshape(2, 3))
    np.testing.assert_array_equal(tiled[:2, 4:7], images[1].reshape(2, 3))
    np.testing.assert_array_equal(tiled[3:5, :3], images[2].reshape(2, 3))
    assert tiled.shape == (5, 7) and np.isnan(tiled[3:5, 4:]).all()


def test_matplotlib_is_loaded_by_the_pictures_only_and_pyplot_never():
    code = (
        "import sys, tinyvae.cli; assert not {'matplotlib', 'tqdm'} & set(sys.modules); "
        "import tinyvae.plots; assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_biased_estimator_is_called_so_where_variances_are_compared():
    steps, curve = [0, 1], [(2.0, 1.0, 3.0)] * 2
    figure = plots.variance_along_training(steps, {"arm": curve, "gumbel_softmax": curve}, biased=["gumbel_softmax"])
    assert {text.get_text() for text in figure.axes[0].texts} == {"arm", "gumbel softmax (biased)"}
    figure = plots.variances({"logits": {"arm": curve[0], "gumbel_softmax": curve[0]}}, biased=["gumbel_softmax"])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["arm", "gumbel softmax (biased)"]


def test_a_choice_s_mean_is_of_one_of_its_ways():
    mu = np.arange(12.0)[:, None] * [0.0, 0.0, 0.0, 0.0, 1.0, 0.1]  # two choices of three ways: of the second, two move
    axes = plots.latents(mu, None, n_ways=3).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "latent 2, way 2 (posterior mean)",
        "latent 2, way 3 (posterior mean)",
    )
    assert plots.latents(mu[:, 4:5], None).axes[0].get_xlabel() == "latent 1 (posterior mean)"
