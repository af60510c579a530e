"""Write files so that a kill at any instant leaves the old file or the new one, whole."""

import contextlib
import errno
import os
import re
import secrets
import stat
import zipfile

import numpy as np

try:
    import fcntl
except ImportError:  # Windows: what a killed save leaves stays there
    fcntl = None

__all__ = ["replacing", "require_writable", "write", "write_npz", "read_npz"]


@contextlib.contextmanager
def replacing(path):
    """A file opened for writing bytes, which takes the place of `path` when the block ends, and vanishes if it fails.

    Until then it stands beside `path` as <path>.<8 hex digits>.tmp, under a lock. What an earlier save of this path,
    which was killed, left under such a name is removed first. A link stays one, to the new file; its mode is the old
    file's.

    Parameters
    ----------
    path : str or path
        The file to write or to replace.

    Yields
    ------
    file
        Open for writing bytes.

    Raises
    ------
    OSError
        If the file cannot be written, or the old one not be replaced; the old one is left.
    """
    with _beside(path) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        place = os.path.realpath(path)
        with contextlib.suppress(OSError):  # there is none yet, or the file system knows no modes
            os.chmod(file.name, stat.S_IMODE(os.stat(place).st_mode))
        os.replace(file.name, place)


def require_writable(path, size=0):
    """Raise unless a file can be written to `path`: before long work, not after it. What is there stays as it is.

    Parameters
    ----------
    path : str or path
    size : int
        Bytes that there must be room for.

    Raises
    ------
    OSError
        If it cannot: no such folder or one that is read-only, no file in its place but a folder, a full disk, or a
        file that is read-only, immutable, or another user's in a folder where each may only replace his own (/tmp).
    """
    with _beside(path) as file:
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _beside(path):
    """A file open for writing bytes beside `path`, under a lock, which is gone at the end unless it was renamed."""
    path = os.fspath(path)  # an int would be taken for an open file
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EEXIST, "not a file that can be replaced", path)  # a device, a pipe
    temporary, lock, place = None, None, os.path.realpath(path)
    try:
        if os.path.exists(place):
            _require_replaceable(place)
        _remove_leftovers(place)
        temporary, lock = _create_beside(place)
        with open(temporary, "wb") as file:
            yield file
    except OSError as error:
        if error.errno is None:
            raise
        # The reader knows this name, not the temporary file's.
        raise type(error)(error.errno, error.strerror, path) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        if lock is not None:  # held until the file has its own name: else another save could take it for a leftover
            os.close(lock)


def _require_replaceable(path):
    """Raise PermissionError if the file that is there may not be written, or not be replaced by another."""
    file, folder = os.stat(path), os.stat(os.path.dirname(path))
    own = not hasattr(os, "geteuid") or os.geteuid() in (0, file.st_uid, folder.st_uid)
    denied = errno.EPERM if folder.st_mode & stat.S_ISVTX and not own else None
    try:
        open(path, "r+b").close()
    except PermissionError as error:
        denied = error.errno
    if denied:
        raise PermissionError(denied, "there is a file that cannot be replaced: it is protected", path)


def write(path, data):
    """Write bytes to `path`, all or nothing.

    Parameters
    ----------
    path : str or path
    data : bytes

    Raises
    ------
    OSError
        If the file cannot be written; the old one is left.
    """
    with replacing(path) as file:
        file.write(data)


def write_npz(path, arrays):
    """Write arrays to `path`, as an npz without pickle, all or nothing.

    Parameters
    ----------
    path : str or path
    arrays : dict
        {name: array}.

    Raises
    ------
    OSError
        If the file cannot be written; the old one is left.
    """
    with replacing(path) as file:
        np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})


def read_npz(path):
    """The arrays of an npz file, nothing unpickled.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    dict
        {name: array}.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no npz file at all.
    Exception
        Whatever a damaged npz file makes zipfile raise.
    """
    # Opened here: np.load leaves its file open when a damaged archive makes it raise.
    with open(path, "rb") as raw:
        if not zipfile.is_zipfile(raw):
            raise ValueError("it is not an npz file, or not a whole one")
        raw.seek(0)
        with np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file}


def _create_beside(path):
    """An empty file beside `path`: its name, and a descriptor that holds its lock, or None where there are no locks."""
    while True:
        temporary = f"{path}.{secrets.token_hex(4)}.tmp"  # tempfile's would be readable by its owner alone
        with open(temporary, "xb") as file:
            lock = _lock(file)
        if lock is None or os.path.exists(temporary):
            return temporary, lock
        os.close(lock)  # another save saw it before it was locked, and removed it


def _lock(file):
    """A second descriptor of an open file, which holds its lock until it is closed; None where there are no locks."""
    if fcntl is None:
        return None
    lock = os.dup(file.fileno())
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock
    except OSError:  # not on this file system
        os.close(lock)
        return None


def _remove_leftovers(path):
    """Remove the temporary files of saves of `path` that were killed: those whose lock nobody holds."""
    if fcntl is None:
        return
    folder, name = os.path.split(path)
    temporary = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.tmp")
    with contextlib.suppress(OSError):
        with os.scandir(folder) as files:
            found = [f.path for f in files if temporary.fullmatch(f.name) and f.is_file(follow_symlinks=False)]
        for leftover in found:
            with contextlib.suppress(OSError):  # its save is under way, or another one has just removed it
                with open(leftover, "r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(leftover)
