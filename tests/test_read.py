"""A reader's own data: what is read is what was written, what was found is said; a file may be larger than memory."""

import gzip
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import cli
from tinyvae.datasets import formats
from tinyvae.likelihoods import checked
from tinyvae.machine import disk
from tinyvae.training.train import Plan

RNG = np.random.default_rng(0)
GREY = RNG.integers(256, size=(20, 4, 6)).astype("uint8")
BITS = RNG.integers(2, size=(20, 24)).astype("uint8")
SHARES = RNG.random((20, 24)).astype("float32")


def rows(data):
    return np.concatenate([data.train, data.test])


def write_idx(path, array, kind=8):
    content = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


# --- formats ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_are_left_alone(dtype, order, tmp_path):
    x = np.asarray(SHARES * 3 - 1, dtype, order=order)
    np.save(tmp_path / "x.npy", x)
    data = tv.datasets.read(tmp_path / "x.npy")
    np.testing.assert_array_equal(rows(data), x)
    assert data.train.dtype == (np.dtype(dtype).newbyteorder("=") if x.itemsize > 2 else "float32")
    assert data.train.shape == (18, 24) and data.train_labels is None


@pytest.mark.parametrize("largest, level", [(2, 16), (16, 16), (17, 255), (255, 255), (256, 65535), (65535, 65535)])
@pytest.mark.parametrize("dtype", ["uint16", "int64", ">i4"])
def test_whole_numbers_become_shares(largest, level, dtype, tmp_path):
    x = RNG.integers(largest, size=(20, 6))
    x[0, :2] = largest, 0
    np.save(tmp_path / "x.npy", x.astype(dtype))
    data = tv.datasets.read(tmp_path / "x.npy")
    np.testing.assert_array_equal(rows(data), x.astype("float32") / np.float32(level))
    assert data.train.dtype == "float32" and f"0 to {largest:g}, divided by {level:,};" in data.found


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_black_and_white_stay_bits(dtype, tmp_path):
    np.save(tmp_path / "x.npy", BITS.astype(dtype))
    data = tv.datasets.read(tmp_path / "x.npy")
    np.testing.assert_array_equal(rows(data), BITS)
    assert data.train.dtype == "uint8" and "divided" not in data.found


def test_images_have_their_shape_and_flat_rows_the_most_square_one(tmp_path):
    np.save(tmp_path / "x.npy", GREY)
    np.save(tmp_path / "flat.npy", GREY.reshape(20, 24))
    np.save(tmp_path / "deep.npy", GREY[..., None])
    images, flat, deep = (tv.datasets.read(tmp_path / f"{name}.npy") for name in ("x", "flat", "deep"))
    assert images.image_shape == deep.image_shape == (4, 6) and flat.image_shape == (6, 4)
    np.testing.assert_array_equal(rows(images), rows(flat))
    np.testing.assert_array_equal(rows(images), rows(deep))
    assert images.found == (
        f"{tmp_path}/x.npy: npy, 20 rows of 24, 4 x 6, uint8, {GREY.min()} to {GREY.max()}, divided by 255; "
        "train 18, test 2, the test data are the last rows"
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "names", [("train", "test", "train_labels", "test_labels"), ("x_train", "x_test", "y_train", "y_test")]
)
def test_an_npz_may_bring_its_split_and_labels(save, names, tmp_path):
    save(tmp_path / "x.npz", **dict(zip(names, (GREY[:15], GREY[15:], np.arange(15), np.arange(5.0)))))
    data = tv.datasets.read(tmp_path / "x.npz")
    assert len(data.train) == 15 and "train 15, test 5, its own split" in data.found
    np.testing.assert_array_equal(rows(data), GREY.reshape(20, 24).astype("float32") / 255)
    np.testing.assert_array_equal(data.train_labels, np.arange(15))
    assert data.test_labels.dtype == "int64" and data.image_shape == (4, 6)


def test_an_npz_of_one_array_is_split_like_an_npy(tmp_path):
    np.savez(tmp_path / "x.npz", anything=SHARES, labels=np.arange(20))
    np.save(tmp_path / "x.npy", SHARES)
    npz, npy = tv.datasets.read(tmp_path / "x.npz"), tv.datasets.read(tmp_path / "x.npy")
    np.testing.assert_array_equal(npz.train, npy.train)
    np.testing.assert_array_equal(npz.test_labels, [18, 19])


@pytest.mark.parametrize("separator", [",", ";", "\t", " , "])
@pytest.mark.parametrize("head", ["", "a,b\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv(separator, head, packed, tmp_path):
    text = (head.replace(",", separator) + f"0.25{separator}1\r\n\n2e-1{separator}-3\n").encode()
    (tmp_path / "x.csv").write_bytes(gzip.compress(text) if packed else b"\xef\xbb\xbf" + text)
    np.testing.assert_array_equal(rows(tv.datasets.read(tmp_path / "x.csv")), [[0.25, 1], [0.2, -3]])


def test_csv_of_whole_numbers_with_labels(tmp_path):
    (tmp_path / "x.csv").write_text('"label","p0","p1"\n7,0,255\n"3",51,0\n')
    data = tv.datasets.read(tmp_path / "x.csv")
    np.testing.assert_array_equal(rows(data), np.array([[0, 1], [0.2, 0]], "float32"))
    assert data.train_labels == [7] and data.test_labels == [3]


def test_holes_do_not_change_how_a_csv_is_rescaled(tmp_path):
    (tmp_path / "x.csv").write_text("0,255\n,51\nNA,nan\n")
    data = tv.datasets.read(tmp_path / "x.csv", holes=True)
    np.testing.assert_array_equal(rows(data), np.array([[0, 1], [np.nan, 0.2], [np.nan] * 2], "float32"))
    assert "missing (NaN): 3" in data.found
    (tmp_path / "bits.csv").write_text("0,1\n,1\n")
    np.testing.assert_array_equal(rows(tv.datasets.read(tmp_path / "bits.csv", holes=True)), [[0, 1], [np.nan, 1]])


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz", "any name"])
def test_idx(name, tmp_path):
    write_idx(tmp_path / name, GREY)
    data = tv.datasets.read(tmp_path / name)
    np.testing.assert_array_equal(rows(data), GREY.reshape(20, 24).astype("float32") / 255)
    assert data.image_shape == (4, 6)


@pytest.mark.parametrize("kind, dtype", formats.IDX_TYPES.items())
def test_idx_of_every_type(kind, dtype, tmp_path):
    x = np.arange(12).reshape(4, 3).astype(dtype)
    write_idx(tmp_path / "x.idx", x, kind)
    found = formats.idx(tmp_path / "x.idx")
    np.testing.assert_array_equal(found, x)
    assert found.dtype.isnative


def test_nan_where_holes_are_allowed(tmp_path):
    x = SHARES.copy()
    x[3, 5] = x[19, 0] = np.nan
    np.save(tmp_path / "x.npy", x)
    data = tv.datasets.read(tmp_path / "x.npy", holes=True)
    np.testing.assert_array_equal(rows(data), x)
    assert "missing (NaN): 2" in data.found
    with pytest.raises(ValueError, match=r"a value is missing at index \(3, 5\)"):
        tv.datasets.read(tmp_path / "x.npy")


# --- images -----------------------------------------------------------------------------------------------


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image", reason="images need Pillow: pip install pillow")


def test_a_folder_of_images_in_the_order_of_their_names(pillow, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").mkdir()
    names = [f"{i}.png" for i in range(9)] + ["more/0.PNG"]
    for name, image in zip(names, GREY):
        pillow.fromarray(image).save(tmp_path / name)
    pillow.fromarray(GREY[0]).save(tmp_path / ".hidden" / "0.png")
    (tmp_path / "notes.txt").write_text("mine")
    data = tv.datasets.read(tmp_path)
    np.testing.assert_array_equal(rows(data), GREY[:10].reshape(10, 24).astype("float32") / 255)
    assert data.image_shape == (4, 6) and "; files that are no images are left out: 1; train " in data.found


def test_what_is_made_grey_is_said(pillow, tmp_path):
    for name, colour in ("a", (9, 9, 9)), ("b", (9, 9, 8)):
        pillow.new("RGB", (4, 3), colour).save(tmp_path / f"{name}.png")
    assert "; in colour, and made grey: 1; train 1" in tv.datasets.read(tmp_path).found


def test_folders_named_train_and_test_are_the_split(pillow, tmp_path):
    for part, image in zip(("train", "test", "train"), GREY):
        (tmp_path / part).mkdir(exist_ok=True)
        pillow.fromarray(image).save(tmp_path / part / f"{image[0, 0]}.png")
    data = tv.datasets.read(tmp_path)
    assert (len(data.train), len(data.test)) == (2, 1) and "its own split" in data.found
    np.testing.assert_array_equal(data.test[0], GREY[1].ravel().astype("float32") / 255)


def test_kinds_of_images_become_grey(pillow, tmp_path):
    colours = RNG.integers(256, size=(4, 6, 3)).astype("uint8")
    deep = RNG.integers(65536, size=(4, 6)).astype("uint16")
    black = GREY[0] > 127
    pillow.fromarray(colours).save(tmp_path / "a.png")
    pillow.fromarray(deep).save(tmp_path / "b.png")
    pillow.fromarray(black).save(tmp_path / "c.png")
    pillow.fromarray(SHARES[0].reshape(4, 6)).save(tmp_path / "d.tif")
    pillow.fromarray(colours).quantize(8).save(tmp_path / "e.gif")
    x = rows(tv.datasets.read(tmp_path)).reshape(5, 4, 6)
    np.testing.assert_allclose(x[0], colours @ [0.299, 0.587, 0.114] / 255, atol=1 / 255)
    np.testing.assert_array_equal(x[1], deep.astype("float32") / 65535)
    np.testing.assert_array_equal(x[2], black)
    np.testing.assert_array_equal(x[3], SHARES[0].reshape(4, 6))
    assert x[4].min() >= 0 and x[4].max() <= 1


def test_transparent_pixels_are_holes(pillow, tmp_path):
    alpha = np.full((4, 6), 255, "uint8")
    alpha[1, 2], alpha[3, 0] = 0, 1
    image = pillow.fromarray(GREY[0])
    image.putalpha(pillow.fromarray(alpha))
    image.save(tmp_path / "a.png")
    x = tv.datasets.read(tmp_path, holes=True).train.reshape(4, 6)
    np.testing.assert_array_equal(np.isnan(x), alpha == 0)
    np.testing.assert_array_equal(x[alpha > 0], GREY[0][alpha > 0].astype("float32") / 255)
    with pytest.raises(ValueError, match=r"a value is missing at index \(0, 8\)"):
        tv.datasets.read(tmp_path)


def test_without_pillow_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert cli.main(["train", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "tinyvae train: a folder of images needs Pillow: pip install pillow\n"


# --- larger than memory -----------------------------------------------------------------------------------


@pytest.fixture
def small_pieces(monkeypatch):
    """What is mapped counts as large from 2,000 bytes on, and is read so many at a time."""
    monkeypatch.setattr(disk, "PIECE", 2000)
    monkeypatch.setattr(formats, "LARGE", 2000)


WITH_ONES = {
    "few bits": (np.random.default_rng(0).random((300, 30)) < 0.1).astype("uint8"),
    "many bits": (np.random.default_rng(0).random((300, 30)) < 0.6).astype("uint8"),
    "bool": np.random.default_rng(0).random((300, 30)) < 0.1,
    "few bits in floats": (np.random.default_rng(0).random((300, 30)) < 0.1).astype("float32"),
    "many bits in floats": (np.random.default_rng(0).random((300, 30)) < 0.6).astype("float64"),
    "float32": np.random.default_rng(0).random((300, 30)).astype("float32"),
    "float64": np.random.default_rng(0).random((300, 30)),
    "grey levels": np.random.default_rng(0).integers(256, size=(300, 30)).astype("uint8"),
    "deep grey levels": np.random.default_rng(0).integers(60_000, size=(300, 5, 6)).astype("uint16"),
}


@pytest.mark.parametrize("kind", WITH_ONES)
def test_a_mapped_file_trains_bit_for_bit_like_an_array(kind, small_pieces, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", WITH_ONES[kind])
    mapped = tv.datasets.read(tmp_path / "x.npy")
    monkeypatch.setattr(formats, "LARGE", 2**27)
    loaded = tv.datasets.read(tmp_path / "x.npy")
    assert disk.is_large(mapped.train) and not disk.is_large(loaded.train)
    assert mapped.found == loaded.found
    assert len({Plan(tv.VAE(30, 2, hidden=(8,)), data.train).pixels for data in (mapped, loaded)}) == 1
    histories, models = [], []
    for data in (mapped, loaded):
        models.append(tv.VAE(30, 2, hidden=(140,)))
        histories.append(tv.fit(models[-1], data.train, data.test, epochs=2, batch_size=64))
    np.testing.assert_array_equal(models[0].theta, models[1].theta)
    np.testing.assert_array_equal(histories[0].loss, histories[1].loss)
    assert histories[0].validation[-1].loss == histories[1].validation[-1].loss
    assert models[0].log_likelihood(mapped.test, 10, np.random.default_rng(0)).tolist() == (
        models[1].log_likelihood(loaded.test, 10, np.random.default_rng(0)).tolist()
    )


def test_a_mapped_file_is_not_copied(small_pieces, tmp_path):
    np.save(tmp_path / "x.npy", WITH_ONES["few bits in floats"])
    x = tv.datasets.read(tmp_path / "x.npy").train
    vae = tv.VAE(30, 2, hidden=(8,))
    assert np.shares_memory(vae.check_data(x), x) and not x.flags.writeable
    assert np.shares_memory(Plan(vae, x).x, x)


@pytest.mark.parametrize("where", [0, 150, 269])
@pytest.mark.parametrize("value, message", [(np.nan, "must be finite, got nan at index"), (2, r"lie in \[0, 1\]")])
def test_what_does_not_fit_is_found_in_any_piece(where, value, message, small_pieces, tmp_path):
    x = np.random.default_rng(0).random((300, 30))
    x[where, 7] = value
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")[:270]
    for data in (mapped, x[:270]):
        with pytest.raises(ValueError, match=message) as error:
            tv.VAE(30, 2, hidden=(8,)).check_data(data)
        assert np.isfinite(value) or f"({where}, 7)" in str(error.value)


def test_bits_drawn_from_a_mapped_file_are_those_of_an_array(small_pieces, tmp_path):
    np.save(tmp_path / "x.npy", WITH_ONES["float32"])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    drawn = [tv.datasets.binarize(x, np.random.default_rng(1)) for x in (mapped, WITH_ONES["float32"])]
    np.testing.assert_array_equal(*drawn)


def test_what_was_written_into_a_private_mapping_is_kept(small_pieces, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((300, 30)))
    x = np.load(tmp_path / "x.npy", mmap_mode="c")
    x[:] = 0.5
    tv.VAE(30, 2, hidden=(8,)).check_data(x)
    assert (x == 0.5).all() and not np.load(tmp_path / "x.npy").any()


def test_a_run_goes_on_with_a_mapped_file_as_it_began(small_pieces, tmp_path, capsys):
    np.save(tmp_path / "x.npy", WITH_ONES["float32"])
    models = [tv.VAE(30, 2, hidden=(8,)) for _ in range(2)]
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    tv.fit(models[0], WITH_ONES["float32"], epochs=1, checkpoint=tmp_path / "run.npz")
    tv.fit(models[0], mapped, epochs=2, checkpoint=tmp_path / "run.npz")
    tv.fit(models[1], mapped, epochs=2)
    np.testing.assert_array_equal(models[0].theta, models[1].theta)
    assert "Going on" in capsys.readouterr().err


def test_a_likelihood_without_bits_leaves_a_large_mapped_file_where_it_is(small_pieces, tmp_path):
    class Squares(tv.Bernoulli):
        takes_bits = False
        check = staticmethod(lambda name, x, n_features: x)

    np.save(tmp_path / "x.npy", WITH_ONES["few bits"])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    x = checked(Squares, "x", mapped, 30, np.dtype("float32"))
    assert np.shares_memory(x, mapped)
    assert checked(Squares, "x", WITH_ONES["few bits"], 30, np.dtype("float32")).dtype == "float32"


PROGRAM = """
import sys, numpy as np, tinyvae as tv
data = tv.datasets.read(sys.argv[1]) if sys.argv[1:] else None
train, test = data[:2] if data else (np.zeros((n, 784), "float32") for n in (20_000, 2000))
vae = tv.VAE(784, 2, hidden=(16,))
for record, _ in zip(tv.train(vae, train, epochs=100, batch_size=1000), range(300)):  # a part of the large file's epoch
    pass
tv.evaluate.bound(vae, test)
print(next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not say how much memory was used")
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_two_gigabytes_take_no_more_memory_than_the_network(dtype, tmp_path):
    n = 2**31 // (784 * np.dtype(dtype).itemsize)
    with open(tmp_path / "x.npy", "wb") as file:
        head = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (n, 784)}
        np.lib.format.write_array_header_1_0(file, head)
        file.truncate(file.tell() + n * 784 * np.dtype(dtype).itemsize)

    def peak(*words):
        done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert peak(str(tmp_path / "x.npy")) < peak() + 100


# --- on the command line ----------------------------------------------------------------------------------

SMALL = ["--hidden", "8", "--epochs", "1", "--batch-size", "20"]


def test_what_was_found_is_said_by_every_command_that_takes_data(tmp_path, capsys):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).integers(256, size=(60, 4, 6)).astype("uint8"))
    out = ["--out", str(tmp_path / "out"), "--data", str(path)]
    found = "npy, 60 rows of 24, 4 x 6, uint8, 0 to 255, divided by 255; train 54, test 6"
    for words in (
        ["train", *SMALL],
        ["variance", "--hidden", "8", "--n-latents", "4", "--n-draws", "5", "--estimators", "reparameterization"],
        ["compare", *SMALL, "--points", "2", "--n-draws", "5", "--estimators", "reparameterization"],
    ):
        assert cli.main([*words, *out]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert found in said and "digit" not in said
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"model.npz", "compare.png", "variance.json"}
