import configparser
import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyvae
from tinyvae import datasets

CHECKOUT = Path(__file__).parents[1]

needs_data_folder = pytest.mark.skipif(
    not os.environ.get("TINYVAE_DATA"), reason="TINYVAE_DATA is not set: it names the folder of the larger datasets"
)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def test_digits_have_the_promised_shapes_types_and_range(digits):
    assert digits.train.shape == (1437, 64) and digits.test.shape == (360, 64)
    assert digits.train_labels.shape == (1437,) and digits.test_labels.shape == (360,)
    assert digits.image_shape == (8, 8)
    for x in (digits.train, digits.test):
        assert x.dtype == np.float32
        assert x.min() == 0.0 and x.max() == 1.0
        np.testing.assert_array_equal(x * 16, np.round(x * 16))


def test_digits_are_divided_four_to_one_within_each_class(digits):
    n_train, n_test = np.bincount(digits.train_labels), np.bincount(digits.test_labels)
    assert len(n_train) == len(n_test) == 10
    assert np.abs(n_test - (n_train + n_test) / 5).max() < 1


def test_digits_split_is_disjoint(digits):
    # All 1,797 images differ, so a shared row could only be one image on both sides.
    assert len(np.unique(np.concatenate([digits.train, digits.test]), axis=0)) == 1797


def test_digits_are_scikit_learns_in_the_documented_split(digits):
    sklearn_datasets = pytest.importorskip(
        "sklearn.datasets", reason="compares with scikit-learn's copy: pip install scikit-learn"
    )
    images, labels = sklearn_datasets.load_digits(return_X_y=True)
    is_test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        is_test[np.flatnonzero(labels == digit)[-sum(labels < digit) % 5 :: 5]] = True
    np.testing.assert_array_equal(digits.train, images[~is_test] / 16)
    np.testing.assert_array_equal(digits.test, images[is_test] / 16)
    np.testing.assert_array_equal(digits.train_labels, labels[~is_test])
    np.testing.assert_array_equal(digits.test_labels, labels[is_test])


def test_each_image_stands_by_its_own_label(digits):
    # Without scikit-learn: nearest class means get 9 of 10 right, shuffled labels would get 1.
    means = np.stack([digits.train[digits.train_labels == k].mean(axis=0) for k in range(10)])
    nearest = ((digits.test[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == digits.test_labels).mean() > 0.85


def test_digits_load_from_any_working_directory(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", "from tinyvae import datasets; print(datasets.load('digits').train.shape)"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(tinyvae.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert (found.stdout.strip(), found.returncode) == ("(1437, 64)", 0), found.stderr


def test_digits_need_no_data_folder(monkeypatch):
    monkeypatch.delenv("TINYVAE_DATA", raising=False)
    assert len(datasets.load("digits").train) == 1437


def test_names_are_what_load_knows():
    assert datasets.names() == ("binarized_mnist", "digits", "fashion_mnist", "frey_faces", "mnist")


@pytest.mark.parametrize("name", ["kmnist", "Digits", "", None, 3, ["digits"]])
def test_unknown_name_lists_the_names(name):
    with pytest.raises(
        ValueError,
        match="name must be one of 'binarized_mnist', 'digits', 'fashion_mnist', 'frey_faces', 'mnist', got ",
    ):
        datasets.load(name)


def test_binarize_draws_each_pixel_with_its_grey_level_as_probability():
    n = 40_000
    grey = np.array([0.0, 1 / 16, 0.3, 0.5, 0.9, 1.0])
    bits = datasets.binarize(np.tile(grey, (n, 1)), np.random.default_rng(0))
    assert bits.dtype == np.uint8 and bits.shape == (n, 6)
    assert np.isin(bits, (0, 1)).all()
    standard_error = np.sqrt(grey * (1 - grey) / n)  # 0 at the ends: black and white are certain
    assert np.all(np.abs(bits.mean(axis=0) - grey) <= 4.5 * standard_error)
    correlation = np.corrcoef(bits[:, 1:-1], rowvar=False) - np.eye(4)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)


def test_binarize_gives_the_same_bits_for_one_seed_and_either_precision(digits):
    def draw(x, seed):
        return datasets.binarize(x, np.random.default_rng(seed))

    np.testing.assert_array_equal(draw(digits.test, 1), draw(digits.test.astype(np.float64), 1))
    assert (draw(digits.test, 1) != draw(digits.test, 2)).any()


def test_binarize_leaves_its_input_and_what_is_binary_already(digits):
    before = digits.test.copy()
    bits = datasets.binarize(digits.test, np.random.default_rng(0))
    np.testing.assert_array_equal(digits.test, before)
    np.testing.assert_array_equal(datasets.binarize(bits, np.random.default_rng(3)), bits)


@pytest.mark.parametrize(
    "value, message",
    [
        (1.5, r"x must lie in \[0, 1\], got values from 0.5 to 1.5; rescale"),
        (-0.1, r"x must lie in \[0, 1\], got values from -0.1 to 0.5; rescale"),
        (np.nan, "x must be finite, got nan at index .1, 2.; remove or replace"),
        (np.inf, "x must be finite, got inf at index .1, 2.; remove or replace"),
        (-np.inf, "x must be finite, got -inf at index .1, 2.; remove or replace"),
    ],
)
def test_binarize_refuses_what_is_no_probability(value, message):
    x = np.full((2, 3), 0.5)
    x[1, 2] = value
    with pytest.raises(ValueError, match=message):
        datasets.binarize(x, np.random.default_rng(0))


def test_binarize_refuses_unscaled_grey_levels_a_vector_and_other_types():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="x of type uint8 must hold 0 and 1 only, got 16; divide"):
        datasets.binarize(np.full((2, 3), 16, np.uint8), rng)
    with pytest.raises(ValueError, match=r"x must have shape \(n, features\), got \(3,\)"):
        datasets.binarize(np.zeros(3), rng)
    with pytest.raises(TypeError, match="x must be float32, float64, bool or uint8, got complex128; convert"):
        datasets.binarize(np.full((2, 3), 0.5j), rng)


@pytest.mark.parametrize("rng, kind", [(0, "int"), (None, "NoneType"), (np.random.RandomState(0), "RandomState")])
def test_binarize_refuses_what_is_no_generator(rng, kind):
    with pytest.raises(TypeError, match=f"rng must be a numpy.random.Generator such as .*, got {kind}"):
        datasets.binarize(np.zeros((2, 3)), rng)


@needs_data_folder
def test_binarized_mnist_reproduces_the_published_rows():
    data = datasets.load("binarized_mnist")
    assert data.train.shape == (50_000, 784) and data.test.shape == (10_000, 784)
    assert data.train.dtype == data.test.dtype == np.uint8
    assert data.train.max() == data.test.max() == 1
    assert data.image_shape == (28, 28) and data.train_labels is None and data.test_labels is None
    # The negative log-likelihood of the best model of independent pixels, nats; wrong rows or bits do not give it.
    p = (data.train.sum(axis=0) + 0.5) / (len(data.train) + 1)
    nll = [-(x.mean(axis=0) @ np.log(p) + (1 - x.mean(axis=0)) @ np.log1p(-p)) for x in (data.train, data.test)]
    np.testing.assert_allclose(nll, [205.986, 206.321], atol=5e-4, rtol=0)
    # That number does not see the order of the pixels. Neighbours agree; shuffled bits would not.
    images = data.train[:1000].reshape(-1, 28, 28)
    assert (images[:, 1:] == images[:, :-1]).mean() > 0.85 and (images[:, :, 1:] == images[:, :, :-1]).mean() > 0.85


@needs_data_folder
def test_frey_faces_keep_the_order_of_the_film():
    data = datasets.load("frey_faces")
    assert data.train.shape == (1769, 560) and data.test.shape == (196, 560)
    assert data.train.dtype == data.test.dtype == np.float32
    film = np.load(Path(os.environ["TINYVAE_DATA"]) / "frey_faces.npy").astype(np.float32) / 255
    np.testing.assert_array_equal(data.train, film[:1769])
    np.testing.assert_array_equal(data.test, film[1769:])
    assert data.image_shape == (28, 20) and data.train_labels is None and data.test_labels is None


@pytest.mark.parametrize(
    "name, filename", [("binarized_mnist", "binarized_mnist_train.npz"), ("frey_faces", "frey_faces.npy")]
)
def test_missing_data_folder_says_what_to_set(name, filename, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYVAE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=f"{filename}: TINYVAE_DATA is not set. Set this environment variable"):
        datasets.load(name)
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=f"{filename}: not found in TINYVAE_DATA={tmp_path}. Put the file there"
    ):
        datasets.load(name)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_what_is_not_the_published_file_is_not_opened(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path))
    (tmp_path / name).mkdir()
    path = tmp_path / name / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(784)))
    with pytest.raises(ValueError, match=f"{path}: is not the published file: expected SHA-256 .* it was not opened"):
        datasets.load(name)


def test_damaged_or_foreign_data_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path))
    faces, bits = tmp_path / "frey_faces.npy", tmp_path / "binarized_mnist_train.npz"

    np.save(faces, np.zeros((3, 560), np.uint8))
    with pytest.raises(
        ValueError, match=r"frey_faces.npy: expected .* \(1965, 560\), got uint8 of shape \(3, 560\).*replace it"
    ):
        datasets.load("frey_faces")
    np.save(faces, np.zeros((1965, 560)))
    with pytest.raises(ValueError, match="got float64 of shape"):
        datasets.load("frey_faces")
    faces.write_bytes(b"")
    with pytest.raises(ValueError, match="frey_faces.npy: expected .*got EOFError.*replace it"):
        datasets.load("frey_faces")
    faces.write_bytes(b"no array")
    with pytest.raises(ValueError, match="frey_faces.npy: expected .*replace it"):
        datasets.load("frey_faces")

    np.savez(bits, other=np.zeros(3))
    with pytest.raises(ValueError, match="under the key 'bits', got KeyError.*replace it"):
        datasets.load("binarized_mnist")
    bits.write_bytes(bits.read_bytes()[:100])
    with pytest.raises(ValueError, match="binarized_mnist_train.npz: expected .*replace it"):
        datasets.load("binarized_mnist")


def test_setup_cfg_lists_every_package():
    # An editable install finds an unlisted folder all the same; only the wheel would lack it.
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    present = {".".join(file.parent.relative_to(CHECKOUT).parts) for file in (CHECKOUT / "tinyvae").rglob("*.py")}
    assert listed == present | {"tinyvae.data", "tinyvae.lessons"}
