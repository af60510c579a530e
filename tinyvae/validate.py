"""The checks at the doors: every function says what it expected, what came and what to do."""

import numbers

import numpy as np

from tinyvae.kernels.data import all_finite

__all__ = [
    "FLOATS",
    "dtype_of",
    "array",
    "real",
    "check_shape",
    "check_finite",
    "data",
    "integer",
    "sizes",
    "number",
    "generator",
    "choice",
]

FLOATS = (np.dtype("float32"), np.dtype("float64"))


def dtype_of(dtype):
    """A dtype as NumPy's, which must be float32 or float64.

    Parameters
    ----------
    dtype : str or numpy.dtype

    Returns
    -------
    numpy.dtype

    Raises
    ------
    TypeError
        If it is another.
    """
    try:
        dtype = np.dtype(dtype if dtype is not None else "None")  # which NumPy takes for float64
    except TypeError:
        raise TypeError(f"dtype must be 'float32' or 'float64', got {dtype!r}") from None
    if dtype not in FLOATS:
        raise TypeError(f"dtype must be 'float32' or 'float64', got {dtype.name!r}")
    return dtype


def _plain(name, value):
    """What came, as an array. Raises TypeError if it is a masked one: the numbers under its mask would count."""
    if type(value) is not np.ndarray and isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} must be a plain array, got a masked one, whose mask would be lost; "
            f"fill it with {name}.filled(value), or leave out what is masked"
        )
    return np.asarray(value)


def array(name, value, shape, dtype=None):
    """A C-contiguous array, checked for type, shape and finiteness.

    Parameters
    ----------
    name : str
        The argument's name, for the message; likewise in all of these functions.
    value : array
        What came. It is not converted to another dtype.
    shape : tuple
        An int where the size is fixed, a letter where it is free.
    dtype : str or numpy.dtype
        What it must be; None takes float32 or float64, whichever came.

    Returns
    -------
    array
        `value`, or a C-contiguous copy.

    Raises
    ------
    TypeError
        If the dtype does not fit, or the array is masked.
    ValueError
        If the shape does not fit, or an element is NaN or infinite.
    """
    value = _plain(name, value)
    if value.dtype != dtype and (dtype is not None or value.dtype not in FLOATS):
        expected = "float32 or float64" if dtype is None else np.dtype(dtype).name
        fix = "float64" if dtype is None else expected
        raise TypeError(f"{name} must be {expected}, got {value.dtype}; convert it with {name}.astype({fix!r})")
    check_shape(name, value, shape)
    check_finite(name, value)
    return value if value.flags.c_contiguous else np.ascontiguousarray(value)


def real(name, value, dtype=None):
    """Real numbers of any type.

    Parameters
    ----------
    name : str
    value : array
        Or what NumPy makes one of.
    dtype : numpy.dtype, optional
        What they are converted to; None leaves them.

    Returns
    -------
    array
        `value` itself where nothing is to be converted.

    Raises
    ------
    TypeError
        If it is complex, masked, or holds no numbers.
    """
    value = _plain(name, value)
    if value.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got {value.dtype}; convert it to float32 or float64")
    return value if dtype is None or value.dtype == dtype else value.astype(dtype)


def check_shape(name, value, shape):
    """Raise unless an array's shape fits.

    Parameters
    ----------
    name : str
    value : array
    shape : tuple
        An int where the size is fixed, a letter where it is free.

    Raises
    ------
    ValueError
        If it does not.
    """
    got = value.shape if isinstance(value, np.ndarray) else np.shape(value)
    if got == shape:
        return
    fits = len(got) == len(shape)
    for have, want in zip(got, shape):
        fits = fits and (have == want or isinstance(want, str))
    if not fits:
        wanted = "(" + ", ".join(str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name} must have shape {wanted}, got {got}")


def check_finite(name, value):
    """Raise if any element is NaN or infinite.

    Parameters
    ----------
    name : str
    value : array

    Raises
    ------
    ValueError
        Naming the first such element and its index.
    """
    if not all_finite(value.ravel()):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(f"{name} must be finite, got {value[where]} at index {where}; remove or replace such values")


def data(name, x, n_features, advice="rescale it first"):
    """Data for a likelihood on [0, 1].

    Parameters
    ----------
    name : str
    x : array (n, features)
        At least one row: float32 or float64 in [0, 1], or bool or uint8 holding 0 and 1.
    n_features, advice : int or str, str
        How many features there must be, a letter or word where that is free; what to do about values outside [0, 1].

    Returns
    -------
    array (n, features)
        C-contiguous; bool as uint8, the others of the dtype that came.

    Raises
    ------
    TypeError
        If the dtype is another, or the array is masked.
    ValueError
        If the shape does not fit, or a value is not finite, outside [0, 1] or, of type uint8, above 1.
    """
    x = _plain(name, x)
    if x.dtype not in (*FLOATS, np.dtype("bool"), np.dtype("uint8")):
        raise TypeError(
            f"{name} must be float32, float64, bool or uint8, got {x.dtype}; convert it with {name}.astype('float32')"
        )
    check_shape(name, x, ("n", n_features))
    if x.shape[0] == 0:
        raise ValueError(f"{name} must hold at least one row, got shape {x.shape}")
    if x.dtype.kind == "f":
        check_finite(name, x)
        if x.min() < 0 or x.max() > 1:
            raise ValueError(f"{name} must lie in [0, 1], got values from {x.min():g} to {x.max():g}; {advice}")
    elif x.dtype == np.uint8 and x.max() > 1:
        raise ValueError(
            f"{name} of type uint8 must hold 0 and 1 only, got {x.max()}; "
            f"divide grey levels by their maximum: ({name} / 255).astype('float32')"
        )
    x = np.ascontiguousarray(x)
    return x.view("uint8") if x.dtype == bool else x


def integer(name, value, least):
    """A whole number.

    Parameters
    ----------
    name : str
    value : int
        No bool; NumPy's integers will do.
    least : int
        The smallest allowed.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, (numbers.Integral, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def sizes(name, values):
    """Sizes of at least 1.

    Parameters
    ----------
    name : str
    values : tuple or list of int

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        If it is no tuple or list, or one of them no integer.
    ValueError
        If one of them is below 1.
    """
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"{name} must be a tuple of integers such as (200,), got {values!r}")
    return tuple(integer(f"each of {name}", n, least=1) for n in values)


def number(name, value, least=-np.inf, most=np.inf, open_least=False):
    """A finite number within limits.

    Parameters
    ----------
    name : str
    value : float
        No bool; NumPy's numbers will do.
    least : float
        The smallest allowed.
    most : float
        The largest allowed.
    open_least : bool
        Whether `least` itself is refused.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not finite or outside the limits.
    """
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.number)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    value = float(value)
    if not np.isfinite(value) or value < least or value > most or (open_least and value == least):
        low = f"greater than {least:g}" if open_least else f"at least {least:g}"
        bounds = ["finite"] + [low] * bool(least > -np.inf) + [f"at most {most:.16g}"] * bool(most < np.inf)
        raise ValueError(f"{name} must be {' and '.join(bounds)}, got {value:g}")
    return value


def generator(name, rng):
    """A random generator.

    Parameters
    ----------
    name : str
    rng : numpy.random.Generator

    Returns
    -------
    numpy.random.Generator
        `rng`.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{name} must be a numpy.random.Generator such as numpy.random.default_rng(0), got {type(rng).__name__}"
        )
    return rng


def choice(name, value, names):
    """One of several names.

    Parameters
    ----------
    name : str
    value : str
    names : iterable of str
        Those allowed.

    Returns
    -------
    str
        `value`.

    Raises
    ------
    ValueError
        If it is none of them; they are listed.
    """
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, names))}, got {value!r}")
    return value
