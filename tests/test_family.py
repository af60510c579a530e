"""A family of VAEs over beta: the theory of its curve, where it starts, and that a kill changes no number."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import cli, compare, plots
from tinyvae.compare.family import Member
from tinyvae.evaluate import Estimate
from tinyvae.reproduce.alemi2018 import population
from tinyvae.training import checkpoints

BETAS = (0.5, 2.0, 20.0)


@pytest.fixture(scope="module")
def bits():
    return population(24, 4, np.random.default_rng(1))


def small(bits, folder=None, **options):
    vae = tv.VAE(16, 2, (6,), seed=4)
    settings = {"betas": BETAS, "epochs": 2, "rate": 0.02, "batch_size": 8, "folder": folder, "n_samples": 2, "seed": 3}
    return compare.family(vae, bits[:18], bits[18:], **{**settings, **options})


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.vae.theta, b.vae.theta)
        assert (a.train[:6], a.held_out[:6], a[4:]) == (b.train[:6], b.held_out[:6], b[4:])
    return True


def test_a_family_that_was_stopped_anywhere_ends_with_the_same_numbers(bits, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["tinyvae.compare.family"], "EVERY", 0.0)
    whole, save = small(bits), checkpoints.save
    for stop in (3, 9):  # in the first model, in the second
        saved = []

        def interrupted(*args):
            save(*args)
            saved.append(args)
            if len(saved) == stop:
                raise KeyboardInterrupt

        monkeypatch.setattr(checkpoints, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            small(bits, tmp_path / str(stop))
        monkeypatch.setattr(checkpoints, "save", save)
        assert same(whole, small(bits, tmp_path / str(stop)))
    assert same(whole, small(bits, tmp_path / "9"))  # a finished one
    loaded = tv.VAE.load(tmp_path / "9" / "beta-20.npz")
    np.testing.assert_array_equal(loaded.theta, whole[-1].vae.theta)


def test_a_folder_of_another_family_is_refused_at_once(bits, tmp_path):
    small(bits, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    others = ({"betas": (0.5, 1, 2, 20)}, "betas is"), ({"epochs": 3}, "optimizer is"), ({"seed": 4}, "seed is")
    for other, named in others:
        with pytest.raises(ValueError, match=f"beta-0.5.npz belongs to another run: .*{named}"):
            small(bits, tmp_path, **other)
    vae = tv.VAE(16, 2, (6,), seed=4)
    vae.theta = vae.theta + np.float32(0.1)
    with pytest.raises(ValueError, match="the start is"):
        compare.family(vae, bits[:18], bits[18:], BETAS, 2, 0.02, 8, 3, tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_each_model_starts_from_the_one_before_and_the_given_one_is_left(bits):
    vae = tv.VAE(16, 2, (6,), seed=4)
    before = vae.theta.copy()
    still = compare.family(vae, bits, bits, BETAS[::-1], 1, 1e-30, 100, n_samples=2)
    assert [one.beta for one in still] == list(BETAS)
    for one in still:
        np.testing.assert_allclose(one.vae.theta, before, atol=1e-20)
    # Twice the same beta, nearly, the second with a quarter of the steps: it ends at least as low.
    moved = small(bits, betas=(1.0, 1.00001), epochs=20)
    np.testing.assert_array_equal(vae.theta, before)
    totals = [one.train.rate.value + one.train.distortion.value for one in moved]
    assert totals[1] < totals[0] + 0.3 and np.abs(moved[1].vae.theta - moved[0].vae.theta).max() > 0


def test_input_that_does_not_fit_is_refused(bits, tmp_path):
    for betas, message in (((1.0,), "at least two"), ((1, 2, 1.0000001), "must differ"), ((0, 1), "each of betas")):
        with pytest.raises(ValueError, match=message):
            small(bits, tmp_path / "none", betas=betas)
    with pytest.raises(ValueError, match="held_out must hold at least four"):
        compare.family(tv.VAE(16, 2, (6,)), bits, bits[:3], BETAS, 1)
    with pytest.raises(TypeError, match="whose latents are drawn"):
        compare.family(tv.Autoencoder(16, 2, (6,)), bits, bits, BETAS, 1)
    with pytest.raises(ValueError, match="squared_error"):
        compare.family(tv.VAE(16, 2, (6,), likelihood="squared_error"), bits, bits, BETAS, 1)
    assert not (tmp_path / "none").exists()


def test_of_many_rows_some_are_drawn(bits):
    (few, _), (again, _) = (small(bits, betas=(1, 2), n_rows=5) for _ in range(2))
    assert len(few.train.points) == len(few.held_out.points) == 5 and same([few], [again])


# --- chords and limits ------------------------------------------------------------------------------------


def placed(beta, rate, distortion):
    """A member that is but a point of the plane."""
    rates = tv.evaluate.Rates(Estimate(rate, 0.0), Estimate(distortion, 0.03), *[None] * 9)
    return Member(beta, None, rates, rates, 0, Estimate(rate + distortion, 0.1))


def test_on_a_convex_curve_each_chord_lies_between_its_betas():
    betas = [0.1, 0.3, 1.0, 2.0]
    chords = compare.chords([placed(b, 3 - np.log(b), b) for b in betas])  # D = exp(3 - R), whose slope is -D
    assert len(chords) == 3
    for chord in chords:
        assert chord.betas[0] < chord.slope < chord.betas[1]
        assert max(e.value for e in chord.excess) < 0
        assert chord.excess[0].error == pytest.approx(0.03 * 2**0.5)


def test_a_model_that_was_not_trained_to_its_end_shows_as_an_excess():
    first, second = placed(1.0, 2.0, 10.5), placed(2.0, 1.5, 10.7)  # the second is better at the first's beta
    (chord,) = compare.chords([first, second])
    assert chord.slope == pytest.approx(0.4)
    assert [e.value for e in chord.excess] == pytest.approx([0.3, -0.8])
    (level,) = compare.chords([first, first])
    assert np.isnan(level.slope)


def test_the_limits_of_the_entropy_lie_around_it():
    p = np.array([[0.5, 0.25, 1.0], [0.0, 0.5, 0.5]])
    low, high = compare.entropy_limits([placed(1, 1, 3), placed(2, 0.5, 3.2), placed(3, 0.1, 4)], p)
    each = np.log(2) + np.array([-0.25 * np.log(0.25) - 0.75 * np.log(0.75), np.log(2)])
    assert low == pytest.approx((each.mean(), each.std(ddof=1) / 2**0.5)) and high.value == pytest.approx(3.7)


def test_without_a_code_the_pixels_entropies_are_the_least_distortion():
    x = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]], "uint8")
    train, held_out = compare.without_code(x, x)
    p = x.mean(axis=0)
    logits = np.log(np.clip(p, 1e-12, 1)) - np.log(np.clip(1 - p, 1e-12, 1))
    says = tv.Bernoulli(np.tile(logits, (4, 1)))
    assert train == pytest.approx(-says.log_prob(x.astype(float)).mean(), abs=1e-9)
    smooth = (x.sum(axis=0) + 0.5) / 5
    each = -np.log(np.where(x, smooth, 1 - smooth)).sum(axis=1)
    assert held_out == pytest.approx((each.mean(), each.std(ddof=1) / 2))
    with pytest.raises(ValueError, match="0 and 1 alone"):
        compare.without_code(x, 0.5 * x)


# --- the command ------------------------------------------------------------------------------------------

TINY = "--hidden 4 --n-latents 2 --epochs 1 --batch-size 500 --betas 1 30".split()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A file of few and small images."""
    path = tmp_path_factory.mktemp("data") / "x.npy"
    np.save(path, tv.datasets.shapes(40, np.random.default_rng(0), 5).images.reshape(40, 5, 5))
    return str(path)


def test_the_command_prints_draws_and_writes(own, tmp_path, capsys):
    assert cli.main(["rates", "--data", own, *TINY, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "-log p(x)" in out and "no model has D + R < H" in out and "knows no code" in out
    record = json.loads((tmp_path / "rates.json").read_text())
    assert [one["beta"] for one in record["members"]] == [1, 30] and len(record["chords"]) == 1
    value, low, high = record["members"][0]["held_out"]["distortion"]
    assert low < value < high and record["entropy"]["low"][0] < record["entropy"]["high"][0]
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in (tmp_path / "rates").iterdir()) == ["beta-1.npz", "beta-30.npz"]
    assert max(map(len, out.split("Written:")[0].splitlines())) <= 118


def test_a_density_of_greys_has_no_such_limits(own, tmp_path, capsys):
    words = ["rates", "--data", own, *TINY, "--likelihood", "continuous_bernoulli", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "knows no code" not in out and "black or white" not in out and "at least" not in out.split("entropy")[1]
    record = json.loads((tmp_path / "rates.json").read_text())
    assert record["entropy"]["low"] is None and record["without_code"] is None


@pytest.mark.parametrize("words, line", [
    ("--betas 1", "betas must be at least two"),
    ("--betas 0 1", "argument --betas: must be a number above 0"),
    ("--likelihood squared_error", "squared_error"),
    ("--beta 2", "unrecognized arguments: --beta 2"),
    ("--binarize", "unrecognized arguments: --binarize"),
])  # fmt: skip
def test_what_does_not_fit_is_one_line_and_leaves_no_folder(words, line, own, tmp_path, capsys):
    out = tmp_path / "out"
    try:
        status = cli.main(["rates", "--data", own, *words.split(), "--out", str(out)])
    except SystemExit as stop:
        status = stop.code
    err = capsys.readouterr().err
    assert status == 2 and line in err and err.count("\n") == 1 and not out.exists()


def test_the_plane_shows_what_is_known_of_the_entropy():
    found = {"rate": [[3, 2.9, 3.1], [0, 0, 0]], "distortion": [[4, 3.9, 4.1], [9, 8.8, 9.2]]}
    for entropy, words in (
        ((5.5, 5.5), "D + R < H = 5.5"),
        ((2, 6), "H is at most this"),
        ((None, 6), "H is at most this"),
    ):
        axes = plots.plane((1, 5), found, entropy=entropy, without_code=8.9).axes[0]
        texts = " ".join(text.get_text() for text in axes.texts)
        assert words in texts and "beta 1" in texts
        assert "ELBO = -7.0, the best" in [text.get_text() for text in axes.get_legend().get_texts()]
        assert ("no model" in texts) == (entropy[0] is not None)


# --- the theory -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    """64 images, each as probable as the others, so that H = log 64, and a family on them."""
    x = population(64, 6, np.random.default_rng(0))
    betas = (0.01, 0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 30.0)
    vae = tv.VAE(36, 6, (64,), seed=0)
    return x, compare.family(vae, x, x, betas, epochs=600, rate=5e-3, batch_size=64, n_samples=50)


@pytest.mark.slow
def test_the_curve_is_monotone_and_convex_and_its_slope_is_minus_beta(world):
    _, members = world
    chords, slopes = compare.chords(members), []
    for one, other, chord in zip(members, members[1:], chords):
        for excess in chord.excess:
            assert excess.value < 4 * excess.error + 0.05, chord  # beside the noise, what training leaves
        assert other.train.rate.value < one.train.rate.value + 0.01
        assert other.train.distortion.value > one.train.distortion.value - 4 * chord.excess[0].error - 0.05
        if one.train.rate.value > 0.1:
            error = 4 * chord.excess[0].error + 0.05
            fall = one.train.rate.value - other.train.rate.value
            assert chord.betas[0] - error / fall < chord.slope < chord.betas[1] + error / fall
            slopes.append((chord.slope, error / fall))
    assert len(slopes) >= 5
    for (one, error), (other, error_2) in zip(slopes, slopes[1:]):
        assert one < other + error + error_2


@pytest.mark.slow
def test_the_information_lies_between_its_limits_and_no_model_is_below_the_entropy(world):
    x, members = world
    for one in members:
        found = one.train
        assert found.entropy == pytest.approx(np.log(len(x)))
        error = 4 * float(np.hypot(found.information.error, found.distortion.error)) + 1e-3
        assert found.entropy - found.distortion.value - error < found.information.value
        assert found.information.value < found.rate.value + error
        total = found.information.value + found.aggregate_kl.value
        noise = 4 * float(np.hypot(found.information.error, found.aggregate_kl.error)) + 1e-3
        assert total == pytest.approx(found.rate.value, abs=noise)
        assert found.rate.value + found.distortion.value > np.log(len(x)) - error


@pytest.mark.slow
def test_both_limits_are_where_the_theory_has_them(world):
    x, members = world
    last, least = members[-1].train, members[0].train
    without, _ = compare.without_code(x, x)
    assert last.rate.value < 0.01
    assert without - 4 * last.distortion.error - 0.01 < last.distortion.value < without + 0.1
    assert without > np.log(len(x)) + 3  # so far is D = H from a factorised decoder
    plain = tv.Autoencoder(36, 6, (64,), seed=0)
    options = {"optimizer": tv.Adam(tv.schedules.Cosine(5e-3, 2400)), "epochs": 2400, "batch_size": 64}
    for _ in tv.train(plain, x, **options):
        pass
    assert least.distortion.value < plain.held_out(x).loss + 0.1
    assert least.rate.value > np.log(len(x)) - least.distortion.value


@pytest.mark.slow
def test_on_digits_a_factorised_decoder_cannot_reach_the_autodecoding_limit():
    data = tv.datasets.load("digits")
    drawn = compare.binarized(data, 0)
    members = compare.family(tv.VAE(64, 10, (128,)), drawn.train, drawn.test, (1.0, 20.0), epochs=15, n_rows=300)
    low, high = compare.entropy_limits(members, data.test)
    train, held_out = compare.without_code(drawn.train, drawn.test)
    assert held_out.value == pytest.approx(27.009, abs=1e-3) and train == pytest.approx(27.1386, abs=1e-4)
    assert low.value < high.value < 24.1  # what the best model pays bounds H from above
    last = members[-1].held_out
    assert last.rate.value < 0.05 and last.distortion.value > 27.009 - 0.6
    assert last.distortion.value - high.value > 2.3


@pytest.mark.slow
def test_a_command_that_was_killed_ends_with_the_same_file(own, tmp_path):
    words = ["rates", "--data", own, *TINY[:4], "--epochs", "600", "--batch-size", "40", "--betas", "1", "5", "30"]
    assert cli.main([*words, "--out", str(tmp_path / "whole")]) == 0
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-m", "tinyvae", *words, "--out", str(killed)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        while process.poll() is None and not (killed / "rates" / "beta-5.npz").exists():
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (killed / "rates.json").exists()
    assert cli.main([*words, "--out", str(killed)]) == 0
    assert (killed / "rates.json").read_bytes() == (tmp_path / "whole" / "rates.json").read_bytes()
