"""MNIST by name, from a server on this machine that behaves, and from one that does not."""

import contextlib
import gzip
import hashlib
import http.server
import socket
import struct
import sys
import threading
import time

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import cli
from tinyvae.datasets import download

pooch = pytest.importorskip("pooch", reason="downloads need pooch: pip install pooch")

IMAGES = np.random.default_rng(0).integers(256, size=(6, 28, 28)).astype("uint8")
LABELS = np.arange(6, dtype="uint8")
NAMES = list(download.FILES["mnist"])


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


CONTENTS = dict(zip(NAMES, (idx(IMAGES), idx(LABELS), idx(IMAGES[:2]), idx(LABELS[:2]))))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        content = CONTENTS.get(self.path.rpartition("/")[2], b"")
        with contextlib.suppress(OSError):  # the client went away
            self.server.behave(self, content)

    def log_message(self, *_):
        pass


def well(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def truncated(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])


def truncated_without_a_word(handler, content):
    well(handler, content[:-7])


def corrupted(handler, content):
    well(handler, content[:100] + bytes([content[100] ^ 1]) + content[101:] if len(content) > 100 else b"x" + content)


def with_more_at_the_end(handler, content):
    well(handler, content + b"\0")


def another_file(handler, content):
    well(handler, CONTENTS[NAMES[2]] if content != CONTENTS[NAMES[2]] else CONTENTS[NAMES[0]])


def a_page_of_words(handler, content):
    well(handler, b"<html>Sign in to use this network</html>")


def empty(handler, content):
    well(handler, b"")


def stalled(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:100])
    handler.wfile.flush()
    handler.server.released.wait(5)


def endless(handler, content):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.released.is_set():
        handler.wfile.write(bytes(1000))


def dripping(handler, content):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.released.wait(0.02):
        handler.wfile.write(bytes(300))


def silent(handler, content):
    handler.server.released.wait(5)


def refused(handler, content):
    handler.send_error(403)


def missing(handler, content):
    handler.send_error(404)


def broken(handler, content):
    handler.send_error(500)


def redirected(handler, content):
    if "elsewhere" in handler.path:
        return well(handler, content)
    handler.send_response(302)
    handler.send_header("Location", f"/elsewhere/{handler.path.rpartition('/')[2]}")
    handler.end_headers()


def redirected_to_nowhere(handler, content):
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:9/nothing")
    handler.end_headers()


def redirected_for_ever(handler, content):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def redirected_to_another_file(handler, content):
    if "elsewhere" in handler.path:
        return corrupted(handler, content)
    return redirected(handler, content)


def reset(handler, content):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


BAD = (
    truncated, truncated_without_a_word, corrupted, with_more_at_the_end, another_file, a_page_of_words, empty,
    stalled, endless, dripping,
    silent, refused, missing, broken, redirected_to_nowhere, redirected_for_ever, redirected_to_another_file, reset,
)  # fmt: skip


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server of four small files, whose checksums are the published ones here; the cache is tmp_path/cache."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.asked, made.behave, made.released = [], well, threading.Event()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setitem(
        download.FILES, "mnist", {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    )
    monkeypatch.setitem(download.MIRRORS, "mnist", (f"http://127.0.0.1:{made.server_address[1]}/a/",))
    monkeypatch.setattr(download, "LARGEST", 50_000)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("TINYVAE_DATA", raising=False)
    yield made
    made.released.set()
    made.shutdown()
    thread.join()
    made.server_close()


def impatient(monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    monkeypatch.setattr(download, "LONGEST", 0.4)


def kept(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def check(data):
    np.testing.assert_array_equal(data.train, IMAGES.reshape(6, 784).astype("float32") / 255)
    np.testing.assert_array_equal(data.test, data.train[:2])
    assert data.train_labels.tolist() == [*range(6)] and data.test_labels.tolist() == [0, 1]
    assert data.image_shape == (28, 28) and data.train.dtype == "float32" and data.train_labels.dtype == "int64"


@pytest.mark.parametrize("behave", [well, redirected])
def test_the_files_are_downloaded_once(behave, server, tmp_path, capfd):
    server.behave = behave
    check(tv.datasets.load("mnist"))
    assert len(server.asked) == 4 * (1 + (behave is redirected)) and kept(tmp_path) == sorted(NAMES)
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 4 and all(line.startswith("Downloading http://127.0.0.1") for line in said)
    check(tv.datasets.load("mnist"))
    assert len(server.asked) == 4 * (1 + (behave is redirected)) and not capfd.readouterr().err


@pytest.mark.parametrize("behave", BAD)
def test_nothing_half_written_stays_and_nothing_unverified_is_opened(behave, server, tmp_path, monkeypatch):
    server.behave, opened = behave, []
    impatient(monkeypatch)
    monkeypatch.setattr(download, "idx", lambda *arguments: opened.append(arguments))
    with pytest.raises(FileNotFoundError) as error:
        tv.datasets.load("mnist")
    message = str(error.value)
    assert f"mnist: {NAMES[0]} could not be downloaded (" in message and len(message.splitlines()) == 1
    assert f"put {', '.join(NAMES)} into the folder mnist of one that the environment variable" in message
    assert message.endswith("or take 'digits', which come with tinyvae")
    assert kept(tmp_path) == [] and opened == []
    assert len([path for path in server.asked if "elsewhere" not in path]) >= 1 + download.RETRIES


def test_it_is_tried_again(server, tmp_path):
    behaviours = iter([truncated, broken])
    server.behave = lambda *arguments: next(behaviours, well)(*arguments)
    check(tv.datasets.load("mnist"))
    assert len(server.asked) == 6 and kept(tmp_path) == sorted(NAMES)


def test_the_second_address_is_asked_where_the_first_fails(server, monkeypatch):
    first = download.MIRRORS["mnist"][0]
    monkeypatch.setitem(download.MIRRORS, "mnist", (first, first.replace("/a/", "/b/")))
    server.behave = lambda handler, content: (well if "/b/" in handler.path else missing)(handler, content)
    check(tv.datasets.load("mnist"))


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, tmp_path):
    tv.datasets.load("mnist")
    path = tmp_path / "cache" / "tinyvae" / "mnist" / NAMES[1]
    path.write_bytes(path.read_bytes()[:-3])
    check(tv.datasets.load("mnist"))
    assert server.asked[4:] == [f"/a/{NAMES[1]}"]


def test_a_file_that_changes_after_it_was_checked_is_not_opened(server, tmp_path, monkeypatch):
    tv.datasets.load("mnist")
    path = tmp_path / "cache" / "tinyvae" / "mnist" / NAMES[0]
    monkeypatch.setattr(download, "_downloaded", lambda name, file: path)
    path.write_bytes(CONTENTS[NAMES[2]])
    with pytest.raises(ValueError, match="is not the published file: expected SHA-256 .*it was not opened"):
        tv.datasets.load("mnist")


def test_interrupted_it_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.core, "hash_matches", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tv.datasets.load("mnist")
    assert server.asked and kept(tmp_path) == []


def test_a_stalled_server_is_not_waited_for_long(server, monkeypatch):
    impatient(monkeypatch)
    server.behave, began = silent, time.monotonic()
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        tv.datasets.load("mnist")
    assert time.monotonic() - began < 4


def test_files_in_the_data_folder_need_no_server(server, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "pooch", None)  # nor pooch
    check(tv.datasets.load("mnist"))
    assert not server.asked
    (folder / NAMES[2]).write_bytes(CONTENTS[NAMES[0]])
    with pytest.raises(ValueError, match=f"{NAMES[2]}: is not the published file: expected SHA-256 .*replace it"):
        tv.datasets.load("mnist")


@pytest.mark.parametrize("installed", [True, False])
def test_offline_one_line_says_which_file_goes_where(installed, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(download.MIRRORS, "mnist", ("http://127.0.0.1:9/",))
    if not installed:
        monkeypatch.setitem(sys.modules, "pooch", None)
    assert cli.main(["train", "--data", "mnist", "--out", str(tmp_path / "out")]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Downloading")]
    assert len(lines) == 1 and lines[0].startswith("tinyvae train: mnist: ")
    assert f"put {', '.join(NAMES)} into {tmp_path / 'data' / 'mnist'}, or take 'digits'" in lines[0]
    assert ("pip install pooch" in lines[0]) == (not installed)
    assert not (tmp_path / "out").exists() and kept(tmp_path) == []


def test_the_published_checksums_are_of_eight_different_files():
    sums = [digest for files in download.FILES.values() for digest in files.values()]
    assert len(set(sums)) == 8 and all(len(digest) == 64 and int(digest, 16) for digest in sums)
    assert download.FILES.keys() == download.MIRRORS.keys()
