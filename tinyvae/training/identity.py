"""What tells a thing from another of its kind: in words for a message, and as a fingerprint to compare.

A number is its value, an array its type, shape and bytes, a function its code and all that it holds on to (defaults,
attributes, what it closes over), an object its class and what `pickle` would keep of it. What stands in a file that
can be imported has a name: of classes, and of tinyvae's own functions, that is enough.
"""

import copyreg
import functools
import hashlib
import inspect
import operator
import sys
import types

import numpy as np

from tinyvae.machine.disk import pieces

__all__ = ["identity", "words", "fingerprint", "full_repr"]

PLAIN = (type(None), bool, int, float, complex, str, bytes)
UNORDERED = (dict, types.MappingProxyType, set, frozenset)
HEAP_TYPE = 1 << 9  # the flag of a class that was made by a class statement, not by the interpreter
FORMALITIES = {  # of a class's members
    "__dict__", "__weakref__", "__doc__", "__annotations__", "__firstlineno__", "__static_attributes__", "_abc_impl",
}  # fmt: skip
LONGEST = 300  # characters of a message's words


def identity(value, known=None):
    """A fingerprint, the same for two things that cannot be told apart.

    Parameters
    ----------
    value : anything
    known : dict, optional
        {id: word} of things that are told by a word, whatever they hold.

    Returns
    -------
    str
        12 hex digits.

    Raises
    ------
    TypeError
        If the thing, or one that it holds on to, cannot be told from another; the message names it.
    """
    known, path, done = known or {}, [], {}

    def of(value):
        if type(value) in PLAIN:
            return _hashed(type(value).__name__, repr(value))
        if (key := id(value)) in known:
            return known[key]
        if key in path:  # a circle
            return f"itself {path.index(key)}"
        if key not in done:
            path.append(key)
            parts = _parts(value)
            if type(value) in UNORDERED:
                parts = sorted(map(of, parts))
            done[key] = value, _hashed(type(value).__name__, *map(of, parts))  # kept alive, else its id could be reused
            path.pop()
        return done[key][1]

    try:
        return of(value)
    except RecursionError:
        raise TypeError(f"a checkpoint cannot compare a {type(value).__name__} that is nested so deeply") from None


def _hashed(*texts):
    return hashlib.sha256("\n".join(texts).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _parts(value):
    """A sequence of what tells `value` from another of its type, plainer than itself."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return value
    if kind in (dict, types.MappingProxyType):
        return tuple(value.items())
    if kind is np.ndarray or isinstance(value, np.generic):
        return (value.dtype.str, value.tolist()) if value.dtype.hasobject else (fingerprint(value),)
    if kind is types.CodeType:
        return value.co_code, value.co_names, value.co_consts
    if kind is types.FunctionType:
        return _function_parts(value)
    if isinstance(value, type):
        if _is_importable(value) or not value.__flags__ & HEAP_TYPE:
            return value.__module__, value.__qualname__
        members = {name: member for name, member in vars(value).items() if name not in FORMALITIES}
        return value.__module__, value.__qualname__, value.__bases__, members
    if kind is types.MethodType:
        return value.__self__, value.__func__
    if kind is types.ModuleType:
        return (value.__name__,)
    if kind is property:
        return value.fget, value.fset, value.fdel
    if kind in (classmethod, staticmethod):
        return (value.__func__,)
    if kind is functools.cached_property:
        return (value.func,)
    if inspect.isfunction(getattr(value, "py_func", None)):  # compiled
        return (value.py_func,)
    if hasattr(value, "state") and hasattr(value, "restore"):  # its attributes hold what the last call left, too
        return kind, full_repr(value), value.state()
    try:
        reduce = copyreg.dispatch_table.get(kind)
        reduced = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception as error:
        raise TypeError(
            f"a checkpoint cannot tell {value!r} from another {kind.__name__}: {error}; leave it out, or give the "
            "class that holds it a __getstate__ that does"
        ) from error
    if isinstance(reduced, str):
        return kind, reduced, getattr(value, "__wrapped__", None)  # a cache's function
    make, arguments, state, *items = (*reduced, None, None, None)[:5]
    return kind, make, arguments, state, *(list(item or ()) for item in items)


def _is_importable(value):
    """Whether it is what its module has under its name: not made by a function, nor called after another."""
    try:
        return operator.attrgetter(value.__qualname__)(sys.modules[value.__module__]) is value
    except (AttributeError, KeyError):
        return False


def _function_parts(function):
    name = function.__module__, function.__qualname__
    if str(function.__module__).split(".")[0] == __name__.split(".")[0] and _is_importable(function):
        return name
    defaults = function.__defaults__, function.__kwdefaults__
    return *name, function.__code__, *defaults, _held(function), vars(function)


def _held(function):
    """{name: value} of what a function closes over, as far as it has a value yet."""
    held = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # it has none yet
            pass
    return held


def words(value, depth=3):
    """A thing in words, for a message: a function's name and what it closes over, an object's repr.

    Parameters
    ----------
    value : anything
    depth : int, optional
        How many things within each other are told.

    Returns
    -------
    str
    """
    kind = type(value).__name__
    if depth == 0:
        text = kind
    elif isinstance(value, functools.partial):
        text = f"partial({_listed([value.func, *value.args], value.keywords, depth)})"
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        text = fingerprint(value)
    elif inspect.ismethod(value):
        text = f"{words(value.__self__, depth)}.{value.__name__}"
    elif inspect.isfunction(value):
        text = _function_words(value, depth)
    elif inspect.isclass(value) or inspect.isbuiltin(value):
        text = value.__qualname__
    elif type(value).__repr__ is object.__repr__:
        text = f"{kind}({_listed([], getattr(value, '__dict__', {}), depth)})"
    else:
        text = repr(value)
        if hasattr(value, "__dict__") and not text.startswith(kind):  # a subclass with its parent's repr
            text = f"{kind}: {text}"
    text = " ".join(text.split())  # one line
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _function_words(function, depth):
    """A function's name, and what it closes over, its decorators' facts apart."""
    told = [function, *vars(function).values()]
    held = {name: value for name, value in _held(function).items() if not any(value is one for one in told)}
    wrapped = getattr(function, "__wrapped__", None)
    name = words(wrapped, depth - 1) if wrapped else function.__qualname__
    return f"{name}({_listed([], held, depth)})" if held else name


def _listed(values, named, depth):
    texts = [words(value, depth - 1) for value in values]
    return ", ".join([*texts, *(f"{name}={words(value, depth - 1)}" for name, value in named.items())])


def full_repr(value):
    """The repr, with all of its arrays' elements and digits, whatever NumPy is told to print.

    Parameters
    ----------
    value : anything

    Returns
    -------
    str
    """
    with np.printoptions(
        threshold=sys.maxsize, floatmode="unique", linewidth=100, suppress=False, sign="-", formatter=None
    ):
        return repr(value)


def fingerprint(x):
    """The type and shape of an array, and a digest of its bytes.

    Parameters
    ----------
    x : array (any shape) or None

    Returns
    -------
    str
        "none" for None.
    """
    if x is None:
        return "none"
    digest = hashlib.sha256()
    for piece in pieces(np.asarray(x)):
        digest.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
    return f"{x.dtype} {x.shape} with digest {digest.hexdigest()[:12]}"
