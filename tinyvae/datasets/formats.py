"""Arrays from npy, npz, IDX and csv files. What a header promises is compared with the file before it counts.

Each reader returns arrays as they stand in the file, or raises ValueError that begins with the path.
"""

import gzip
import io
import math
import os
import zipfile
import zlib
from itertools import chain

import numpy as np

__all__ = ["npy", "npz", "idx", "csv", "require_room", "LARGE"]

LARGE = 2**27  # bytes, from which on an npy file is mapped, not read
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}  # by the third byte of the file
SEPARATORS = ",;\t"
MISSING = ("", "nan", "NaN", "NAN", "NA")  # what stands for a hole


def npy(path):
    """The array of an npy file; a large one is mapped, to be read when it is used.

    Parameters
    ----------
    path : str

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If the file is damaged, or no plain array.
    """
    with open(path, "rb") as file:
        shape, in_columns, dtype = _header(file, path)
        start, size = file.tell(), os.fstat(file.fileno()).st_size
        _require_size(path, dtype.itemsize * math.prod(shape), size - start, shape, dtype)
        if size - start > LARGE and not in_columns:
            return np.memmap(path, dtype, "r", start, shape)
        return _elements(file, path, shape, in_columns, dtype)


def npz(path):
    """The arrays of an npz file.

    Parameters
    ----------
    path : str

    Returns
    -------
    dict
        {name: array}.

    Raises
    ------
    ValueError
        If the file is damaged, or one of its arrays is no plain one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for member in archive.infolist():
                where = f"{path}: {member.filename}"
                if member.flag_bits & 1:
                    raise ValueError(f"{where} is encrypted; store it without a password")
                if not member.filename.endswith(".npy"):
                    raise ValueError(f"{where} is no array; an npz file holds arrays only: write it with np.savez")
                with archive.open(member) as file:
                    header = io.BytesIO(file.read(2**16))
                    shape, in_columns, dtype = _header(header, where)
                    size = member.file_size - header.tell()
                    _require_size(where, dtype.itemsize * math.prod(shape), size, shape, dtype)
                with archive.open(member) as file:
                    file.read(header.tell())
                    found[member.filename.removesuffix(".npy")] = _elements(file, where, shape, in_columns, dtype)
            return found
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is a damaged npz file ({error}): write or copy it again") from error


def idx(path, data=None):
    """The array of an IDX file, the format of MNIST, plain or compressed by gzip.

    Parameters
    ----------
    path : str
    data : bytes, optional
        The file's, where they were read already.

    Returns
    -------
    array
        Of the native byte order.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    with open(path, "rb") if data is None else io.BytesIO(data) as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0, os.SEEK_END)
        size = raw.tell()
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not head[3]:
                raise ValueError(f"{path}: does not begin as an IDX file: expected 0, 0, a type, a number of axes")
            dtype, sizes = np.dtype(IDX_TYPES[head[2]]), file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise ValueError(f"{path}: ends within its header: {head[3]} axes are announced; copy it again")
            shape = tuple(np.frombuffer(sizes, ">i4").tolist())
            _require_shape(path, shape)
            wanted = dtype.itemsize * math.prod(shape)
            # Of a compressed file only the end tells its size; but deflate shortens to a thousandth at best.
            there = 1100 * size if packed else size - file.tell()
            if wanted > there or not packed:
                _require_size(path, wanted, there, shape, dtype, "at most " * packed)
            require_room(path, wanted)
            content = file.read(wanted)
            if len(content) < wanted or file.read(1):
                got = f"only {len(content):,}" if len(content) < wanted else "more"
                raise ValueError(f"{path}: its header {_promises(shape, dtype, wanted)}, it holds {got}; copy it again")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: is a damaged gzip file ({error}): download or copy it again") from error
    array = np.frombuffer(content, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def csv(path):
    """The numbers of a csv file: a row a line, between commas, semicolons or tabs; a first line of names is left out.

    Parameters
    ----------
    path : str
        Plain text, or text compressed by gzip.

    Returns
    -------
    dict
        {"all": array (rows, columns)}, float64, NaN where a field is empty, nan or NA. A column named "label" is taken
        out, to "labels".
    bool
        Whether every other field is a whole number.

    Raises
    ------
    ValueError
        If a field is no number, or the rows differ in length, with its line.
    """
    with open(path, "rb") as raw:
        opened = gzip.open if raw.read(2) == b"\x1f\x8b" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline=None) as file:
            lines = ((i, line.strip("\r\n")) for i, line in enumerate(file, 1))
            lines = ((i, line) for i, line in lines if line.strip())
            first = next(lines, None)
            if first is None:
                raise ValueError(f"{path}: is empty; expected a row of numbers a line")
            separator = next((s for s in SEPARATORS if s in first[1]), ",")
            head = _fields(first[1], separator)
            present = [field for field in head if field not in MISSING]
            named = bool(present) and not any(map(_is_number, present))
            rows, whole = [], True
            label = head.index("label") if named and "label" in head else None
            for i, line in lines if named else chain([first], lines):
                row, all_whole = _row(path, i, line, separator, len(head))
                whole &= all_whole
                rows.append(row)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no text, nor npy, npz or IDX; expected numbers between commas") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: is a damaged gzip file ({error}): download or copy it again") from error
    if not rows:
        raise ValueError(f"{path}: line {first[0]} holds names, and no row of numbers follows")
    values = np.array(rows)
    if label is None:
        return {"all": values}, whole
    return {"all": np.delete(values, label, axis=1), "labels": values[:, label]}, whole


def require_room(path, nbytes):
    """Raise unless the machine's memory holds an array.

    Parameters
    ----------
    path : str
        The file, for the message.
    nbytes : int
        The array's bytes.

    Raises
    ------
    ValueError
        If it does not: the system would end the process.
    """
    if hasattr(os, "sysconf") and nbytes > (there := os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")):
        raise ValueError(
            f"{path}: takes {nbytes / 1e9:,.1f} GB, more than this machine's memory ({there / 1e9:,.1f} GB); "
            "a plain npy file of floats, or of 0 and 1, is read from the disk as it is used"
        )


def _header(file, path):
    """(shape, whether it is stored by columns, dtype) of an npy file, which is left at its first element."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:  # 3.0 is for names of fields
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
        shape, in_columns, dtype = read(file)
    except Exception as error:  # a damaged header fails in many ways: it is a Python literal
        raise ValueError(f"{path}: has a damaged npy header ({error}): write it again with np.save") from error
    _require_shape(path, shape)
    if dtype.hasobject:
        raise ValueError(
            f"{path}: holds pickled Python objects, which are not opened, for they could run code; "
            "save an array of numbers: np.save(path, array.astype('float32'))"
        )
    return shape, in_columns, dtype


def _elements(file, path, shape, in_columns, dtype):
    nbytes = dtype.itemsize * math.prod(shape)
    require_room(path, nbytes)
    content = bytearray(nbytes)
    view, done = memoryview(content), 0
    while done < nbytes and (n := file.readinto(view[done:])):
        done += n
    if done < nbytes:
        raise ValueError(f"{path}: its header {_promises(shape, dtype, nbytes)}, it holds only {done:,}; copy it again")
    array = np.frombuffer(content, dtype)
    return np.ascontiguousarray(array.reshape(shape[::-1]).T) if in_columns else array.reshape(shape)


def _require_shape(path, shape):
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"{path}: its header has a negative dimension, {shape}: the file is damaged, write it again")


def _require_size(path, wanted, there, shape, dtype, about=""):
    if wanted != there:
        advice = "copy or write it again"
        raise ValueError(f"{path}: its header {_promises(shape, dtype, wanted)}, it holds {about}{there:,}; {advice}")


def _promises(shape, dtype, nbytes):
    return f"promises {nbytes:,} bytes, {dtype.name} of shape {shape}"


def _fields(line, separator):
    return [field.strip().strip('"').strip() for field in line.split(separator)]


def _is_number(field):
    try:
        float(field)
        return "_" not in field  # Python's own spelling, 1_000
    except ValueError:
        return False


def _row(path, i, line, separator, n):
    """The numbers of a line, and whether all of them are whole."""
    fields = _fields(line, separator)
    if len(fields) != n:
        raise ValueError(f"{path}: line {i} has {len(fields)} fields, the first has {n}; give every row as many")
    try:
        row = np.array([np.nan if field in MISSING else float(field) for field in fields])
    except ValueError:
        row = None
    if row is None or "_" in line:
        j, word = next((j, f) for j, f in enumerate(fields, 1) if f not in MISSING and not _is_number(f))
        word = word if len(word) <= 40 else f"{word[:40]}..."
        raise ValueError(
            f"{path}: line {i}, field {j} must be a number, got {word!r}; leave out columns of words "
            "(labels are whole numbers), and leave a field empty where the value is missing"
        )
    return row, all(field in MISSING or field.lstrip("+-").isdecimal() for field in fields)
