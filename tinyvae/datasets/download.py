"""MNIST and Fashion-MNIST: the published files, from TINYVAE_DATA or downloaded once, opened only if they are those.

A file is one of these only if the SHA-256 of its bytes is the published one, of the TensorFlow Datasets
(github.com/tensorflow/datasets, folder tensorflow_datasets/url_checksums: mnist.txt at commit 31f1255, and
fashion_mnist.txt at commit 333639b), published with the addresses that come first below.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

import numpy as np

from tinyvae.datasets.dataset import Dataset
from tinyvae.datasets.formats import idx

__all__ = ["images", "FILES", "MIRRORS"]

FILES = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}
MIRRORS = {
    "mnist": (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
    ),
    "fashion_mnist": ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
}
RETRIES = 2  # of each file from each address
PATIENCE = 10  # seconds that a server may be silent
LONGEST = 900  # seconds that a file may take
LARGEST = 2**25  # bytes that it may have; the largest has 26 million


def images(name):
    """A dataset of 60,000 + 10,000 grey images, 28 x 28, float32 in [0, 1], with labels.

    Parameters
    ----------
    name : str
        "mnist" or "fashion_mnist".

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If a file in TINYVAE_DATA is another than the published one.
    OSError
        If a file cannot be had: the message says which goes where.
    """
    part = {file: idx(file, _content(name, file)) for file in FILES[name]}
    train, train_labels, test, test_labels = (part[file] for file in FILES[name])
    pixels = (x.reshape(len(x), -1).astype(np.float32) / 255 for x in (train, test))
    return Dataset(*pixels, train_labels.astype(np.int64), test_labels.astype(np.int64), image_shape=(28, 28))


def _content(name, file):
    """The bytes of a published file."""
    folder = os.environ.get("TINYVAE_DATA")
    there = Path(folder, name, file) if folder else None
    path = there if there and there.is_file() else _downloaded(name, file)
    content = path.read_bytes()  # what is checked is what is opened, whoever writes the file meanwhile
    if (digest := hashlib.sha256(content).hexdigest()) != FILES[name][file]:
        raise ValueError(
            f"{path}: is not the published file: expected SHA-256 {FILES[name][file]}, got {digest}; it was not "
            "opened: replace it, or remove it"
        )
    return content


def _downloaded(name, file):
    """The path of a published file in pooch's cache, where it is downloaded to if it is not there yet."""
    try:
        import pooch
    except ImportError as error:
        why = "pooch, which would download them, is not there: pip install pooch"
        raise _not_there(name, why) from error
    pooch.get_logger().setLevel("ERROR")  # it would tell of each try
    cache = pooch.os_cache("tinyvae") / name
    for mirror in MIRRORS[name]:
        if sys.stderr and not (cache / file).exists():
            print(f"Downloading {mirror}{file} to {cache}", file=sys.stderr, flush=True)
        try:
            one = pooch.create(cache, mirror, registry={file: f"sha256:{FILES[name][file]}"}, retry_if_failed=RETRIES)
            return Path(one.fetch(file, downloader=_fetch))
        except Exception as error:  # refused, cut short, silent, another file: requests' errors, and ValueError
            reason = error
    raise _not_there(name, f"{file} could not be downloaded ({_brief(reason)})") from reason


def _fetch(url, path, _):
    """Write what a server sends to `path`, as pooch asks for it: its own would take an endless file, however slow."""
    import requests

    began = time.monotonic()
    with requests.get(url, stream=True, timeout=PATIENCE) as answer, open(path, "wb") as file:
        answer.raise_for_status()
        for chunk in answer.iter_content(1024):
            file.write(chunk)
            if file.tell() > LARGEST or time.monotonic() - began > LONGEST:
                raise ValueError(f"after {time.monotonic() - began:.0f} s and {file.tell():,} bytes there was no end")


def _brief(error):
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"{text[:160]}..."


def _not_there(name, why):
    folder = os.environ.get("TINYVAE_DATA")
    place = (
        Path(folder, name) if folder else f"the folder {name} of one that the environment variable TINYVAE_DATA names"
    )
    return FileNotFoundError(
        f"{name}: {why}; put {', '.join(FILES[name])} into {place}, or take 'digits', which come with tinyvae"
    )
