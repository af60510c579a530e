"""Write files so that a kill at any instant leaves the old file or the new one, whole."""

import contextlib
import os
import secrets
import zipfile

import numpy as np


@contextlib.contextmanager
def replacing(path):
    """A file opened for writing bytes, which takes the place of `path` when the block ends, and vanishes if it fails."""
    path = os.path.abspath(path)
    temporary = f"{path}.{secrets.token_hex(4)}.tmp"  # tempfile's would be readable by its owner alone
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def write(path, data):
    """Write bytes to `path`."""
    with replacing(path) as file:
        file.write(data)


def write_npz(path, arrays):
    """Write {name: array} to `path`, as an npz without pickle."""
    with replacing(path) as file:
        np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})


def read_npz(path):
    """{name: array} from `path`, nothing unpickled. Raises FileNotFoundError, ValueError if it is no npz file at all, or
    whatever a damaged one makes zipfile raise.
    """
    # Opened here: np.load leaves its file open when a damaged archive makes it raise.
    with open(path, "rb") as raw:
        if not zipfile.is_zipfile(raw):
            raise ValueError("it is not an npz file, or not a whole one")
        raw.seek(0)
        with np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file}
