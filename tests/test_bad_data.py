"""Data that do not fit: each is one clear line on the command line, exit status 2, nothing written, nothing lost."""

import gzip
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from tinyvae import cli
from tinyvae.datasets import own

GREY = np.random.default_rng(0).random((20, 6)).astype("float32")


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def header(text, body=b"", version=b"\x01\x00"):
    """An npy file whose header is this text."""
    text = text.encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + body


def shaped(shape, descr="<f4", body=bytes(64)):
    return header(str({"descr": descr, "fortran_order": False, "shape": shape}), body)


def idx(*sizes, body=bytes(120), kind=8):
    return bytes([0, 0, kind, len(sizes)]) + struct.pack(f">{len(sizes)}i", *sizes) + body


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(name.replace("_", "."), content)
    return file.getvalue()


def with_value(value):
    x = GREY.copy()
    x[3, 2] = value
    return x


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


def encrypted():
    content = bytearray(npz(x=GREY))
    content[6] |= 1  # the flag in the member's own header, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


OBJECTS = npy(np.array([{}, None], object), allow_pickle=True)
COLOURS = npy(np.zeros((5, 4, 4, 3)))
FILES = {
    "empty.npy": (b"", "is an empty file"),
    "truncated.npy": (npy(GREY)[:-8], "its header promises 480 bytes, float32 of shape (20, 6), it holds 472"),
    "longer.npy": (npy(GREY) + b"more", "promises 480 bytes, float32 of shape (20, 6), it holds 484"),
    "of 8 TB.npy": (shaped((2_000_000, 1_000_000)), "promises 8,000,000,000,000 bytes"),
    "negative.npy": (shaped((-4, 4)), "negative dimension, (-4, 4)"),
    "twice negative.npy": (shaped((-4, -4)), "negative dimension, (-4, -4)"),
    "without a shape.npy": (header("{'descr': '<f4'}"), "damaged npy header"),
    "that is code.npy": (header("__import__('os').getcwd()"), "damaged npy header"),
    "of another version.npy": (header("{}", version=b"\x09\x00"), "damaged npy header"),
    "that ends in its header.npy": (npy(GREY)[:40], "damaged npy header"),
    "pickled.npy": (OBJECTS, "holds pickled Python objects"),
    "a pickle.pkl": (pickle.dumps(GREY), "is no text, nor npy, npz or IDX"),
    "complex.npy": (npy(GREY * 1j), "must hold real numbers, got complex64"),
    "words.npy": (npy(np.array([["a", "b"]])), "must hold real numbers, got <U1"),
    "dates.npy": (npy(np.zeros((2, 2), "M8[s]")), "must hold real numbers"),
    "fields.npy": (npy(np.zeros((2, 2), [("a", "f4")])), "must hold real numbers"),
    "a vector.npy": (npy(GREY[0]), "must have shape (n, features) or (n, rows, columns), got (6,)"),
    "a number.npy": (npy(np.float32(1)), "must have shape (n, features) or (n, rows, columns), got ()"),
    "colours.npy": (COLOURS, "got (5, 4, 4, 3); average its colours"),
    "no rows.npy": (npy(GREY[:0]), "holds no data, its shape is (0, 6)"),
    "no columns.npy": (npy(GREY[:, :0]), "holds no data, its shape is (20, 0)"),
    "one row.npy": (npy(GREY[:1]), "holds a single row"),
    "nan.npy": (npy(with_value(np.nan)), "a value is missing at index (3, 2)"),
    "infinite.npy": (npy(with_value(np.inf)), "holds an infinite value"),
    "too large.npy": (npy(with_value(3)), "must lie in [0, 1]"),
    "negative numbers.npy": (npy(np.array([[1, -1], [2, 3]])), "whole numbers from -1 to 3 are no grey levels"),
    "large numbers.npy": (npy(np.array([[1, 70_000], [2, 3]])), "from 1 to 70000 are no grey levels"),
    "text.npy": (b"1,2\n3,4\n", "is called .npy and does not begin as such a file"),
    "empty.npz": (archive(), "expected one array, or train and test, it holds nothing"),
    "truncated.npz": (npz(x=GREY)[:-30], "is a damaged npz file"),
    "flipped.npz": (flipped(npz(x=GREY), 400), "is a damaged npz file"),
    "pickled.npz": (archive(x_npy=OBJECTS), "x.npy: holds pickled Python objects"),
    "of words.npz": (archive(readme_txt=b"hello"), "readme.txt is no array"),
    "promising.npz": (archive(x_npy=shaped((10**6, 10**6))), "x.npy: its header promises 4,000,000,000,000 bytes"),
    "encrypted.npz": (encrypted(), "x.npy is encrypted"),
    "of two arrays.npz": (npz(a=GREY, b=GREY), "it holds a (20, 6), b (20, 6)"),
    "of test alone.npz": (npz(test=GREY), "expected one array, or train and test, it holds test"),
    "of two widths.npz": (npz(train=GREY, test=GREY[:, 1:]), "train and test differ in the shape of a row"),
    "of two types.npz": (npz(train=GREY, test=GREY.astype("f8")), "train is float32, test float64"),
    "of few labels.npz": (npz(x=GREY, labels=np.arange(3)), "has 3 labels for 20 rows"),
    "of words as labels.npz": (npz(x=GREY, labels=np.array(["a"] * 20)), "labels must be numbers, one a row"),
    "nan in its test.npz": (npz(train=GREY, test=with_value(np.nan)), "a value is missing at index (23, 2)"),
    "words.csv": (b"0,1\n1,red\n", "line 2, field 2 must be a number, got 'red'"),
    "of other spelling.csv": (b"0,1\n1,1_0\n", "line 2, field 2 must be a number, got '1_0'"),
    "ragged.csv": (b"0,1\n1\n", "line 2 has 1 fields, the first has 2"),
    "holes.csv": (b"0,1\n1,\n", "a value is missing at index (1, 1)"),
    "all holes.csv": (b"0,1\n,\n".replace(b"0,1", b","), "a value is missing at index (0, 0)"),
    "names.csv": (b"red,green\n", "line 1 holds names, and no row of numbers follows"),
    "blank.csv": (b"\n \n", "is empty; expected a row of numbers a line"),
    "infinite.csv": (b"0,1\n1,inf\n", "holds an infinite value"),
    "latin.csv": (b"0,1\n\xe9,1\n", "is no text"),
    "huge numbers.csv": (b"0,1\n1,99999999999999999999999\n", "are no grey levels"),
    "truncated.csv.gz": (gzip.compress(b"0,1\n1,0\n" * 99)[:-12], "is a damaged gzip file"),
    "truncated-idx3-ubyte": (
        idx(5, 4, 7, body=bytes(120)),
        "promises 140 bytes, uint8 of shape (5, 4, 7), it holds 120",
    ),
    "longer-idx3-ubyte": (idx(5, 4, 5), "promises 100 bytes, uint8 of shape (5, 4, 5), it holds 120"),
    "negative-idx3-ubyte": (idx(-5, 4, 6), "negative dimension, (-5, 4, 6)"),
    "of 8 TB-idx3-ubyte": (idx(2**31 - 1, 64, 64), "promises 8,796,093,018,112 bytes"),
    "short-idx3-ubyte": (idx(5, 4, 6)[:9], "ends within its header"),
    "strange-idx3-ubyte": (idx(5, 4, 6, kind=7), "does not begin as an IDX file"),
    "labels-idx1-ubyte": (idx(120), "must have shape (n, features) or (n, rows, columns), got (120,)"),
    "truncated-idx3-ubyte.gz": (gzip.compress(idx(5, 4, 6))[:-9], "is a damaged gzip file"),
    "flipped-idx3-ubyte.gz": (flipped(gzip.compress(idx(5, 4, 6)), -5), "is a damaged gzip file"),
    "short-idx3-ubyte.gz": (gzip.compress(idx(5, 4, 7)), "shape (5, 4, 7), it holds only 120"),
    "longer-idx3-ubyte.gz": (gzip.compress(idx(5, 4, 5)), "shape (5, 4, 5), it holds more"),
    "of 8 TB-idx3-ubyte.gz": (gzip.compress(idx(2**31 - 1, 64, 64)), "promises 8,796,093,018,112 bytes"),
    "image.png": (b"\x89PNG\r\n\x1a\n", "is one image; give the folder that holds it"),
}


def save(folder, **images):
    pillow = pytest.importorskip("PIL.Image", reason="images need Pillow: pip install pillow")
    folder.mkdir()
    for name, pixels in images.items():
        pillow.fromarray(pixels).save(folder / f"{name}.png")


def one_transparent(folder):
    pixels = np.full((4, 5, 4), 255, "uint8")
    pixels[2, 3, 3] = 0
    save(folder, a=np.full((4, 5, 4), 255, "uint8"), b=pixels)


def cut_short(folder):
    save(folder, a=np.random.default_rng(0).integers(256, size=(40, 50)).astype("uint8"))
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:400])


def a_bomb(folder):
    save(folder, a=np.zeros((4, 5), "uint8"))
    content = bytearray((folder / "a.png").read_bytes())
    content[16:24] = struct.pack(">2I", 60_000, 60_000)
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (folder / "a.png").write_bytes(content)


def moving(folder):
    pillow = pytest.importorskip("PIL.Image", reason="images need Pillow: pip install pillow")
    folder.mkdir()
    frames = [pillow.fromarray(np.full((4, 5), level, "uint8")) for level in (0, 100, 200)]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])


def of_text(folder):
    folder.mkdir()
    (folder / "a.png").write_text("no image")


def with_readme(folder):
    folder.mkdir()
    (folder / "readme.txt").write_text("hello")


FOLDERS = {
    "empty": (lambda folder: folder.mkdir(), "is a folder without images: expected files .png"),
    "without images": (with_readme, "it holds 1 other file"),
    "of two sizes": (
        lambda folder: save(folder, a=np.zeros((4, 5), "uint8"), b=np.zeros((5, 4), "uint8")),
        "b.png: has 5 x 4 pixels",
    ),
    "of text": (of_text, "a.png: cannot be read as an image: Pillow knows no such format"),
    "cut short": (cut_short, "a.png: cannot be read as an image"),
    "with a bomb": (a_bomb, "a.png: cannot be read as an image: Image size (3600000000 pixels) exceeds limit"),
    "moving": (moving, "a.gif: cannot be read as an image: it has 3 frames"),
    "transparent": (one_transparent, "a value is missing at index (1, 13)"),
    "of one image": (lambda folder: save(folder, a=np.zeros((4, 5), "uint8")), "holds a single row"),
}


def refused(path, message, capsys, commands=(("train", "--hidden", "3", "--epochs", "1"),)):
    """Train on it where an earlier run's results are: one line, status 2, and everything is as before."""
    out = path.parent / "out"
    out.mkdir()
    (out / "model.npz").write_bytes(b"an earlier model")
    before = state(path.parent)
    for command, *more in commands:
        assert cli.main([command, "--data", str(path), "--out", str(out), *more]) == 2
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if not line.startswith("First run")]
        assert len(lines) == 1 and lines[0].startswith(f"tinyvae {command}: "), said.err
        assert message in lines[0] and len(lines[0]) < 500, lines[0]
        assert state(path.parent) == before


def state(folder):
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_does_not_fit_is_one_line(name, tmp_path, capsys):
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, message, capsys)


@pytest.mark.parametrize("name", ["truncated.npy", "too large.npy", "words.csv"])
def test_so_it_is_for_the_other_commands(name, tmp_path, capsys):
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, message, capsys, [("variance", "--n-draws", "5"), ("compare", "--quick")])


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_does_not_fit_is_one_line(name, tmp_path, capsys):
    make, message = FOLDERS[name]
    make(tmp_path / name)
    refused(tmp_path / name, message, capsys)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch, capsys):
    def denied(path, *rest):
        raise PermissionError(13, "Permission denied", path)

    path = tmp_path / "x.npy"
    np.save(path, GREY)
    monkeypatch.setattr(own, "open", denied, raising=False)  # the administrator may read everything
    refused(path, f"{path}: cannot be read: Permission denied", capsys)


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path, monkeypatch, capsys):
    def denied(path):
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "images").mkdir()
    monkeypatch.setattr(own.images.os, "scandir", denied)
    assert cli.main(["train", "--data", str(tmp_path / "images"), "--out", str(tmp_path / "out")]) == 2
    assert "images: cannot be read: Permission denied" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes in files")
def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert cli.main(["train", "--data", str(tmp_path / "pipe"), "--out", str(tmp_path / "out")]) == 2
    assert "is neither a file nor a folder" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--data", str(tmp_path / "none.npy")])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and len(said.splitlines()) == 1 and "or a file or folder that is there" in said


def test_folders_that_were_made_for_results_go_again(tmp_path, capsys):
    (tmp_path / "x.npy").write_bytes(b"")
    before = state(tmp_path)
    for command in ("train", "compare", "variance"):
        assert cli.main([command, "--data", f"{tmp_path}/x.npy", "--out", f"{tmp_path}/new/folder"]) == 2
        assert state(tmp_path) == before and "is an empty file" in capsys.readouterr().err


def test_there_are_many_kinds():
    assert len(FILES) + len(FOLDERS) >= 40
