"""A folder's rooms, found by looking.

A file that is put beside the others is known by name, and nothing else need change.
"""

import importlib
import pkgutil

__all__ = ["rooms", "by_name", "require_own_name"]


def rooms(package, first=()):
    """The files of a package folder, imported.

    Parameters
    ----------
    package : module
        An imported package.
    first : sequence of str
        The files that come first, in reading order; the others follow in alphabetical order.

    Returns
    -------
    dict
        {name: module}.

    Raises
    ------
    ImportError
        If a file has no `__all__`.
    """
    names, found = [room.name for room in pkgutil.iter_modules(package.__path__)], {}
    for name in (*first, *(name for name in names if name not in first)):
        found[name] = importlib.import_module(f"{package.__name__}.{name}")
        if not hasattr(found[name], "__all__"):
            raise ImportError(f"{found[name].__file__} has no __all__: list there what it shows")
    return found


def by_name(package, wanted, name_of, first=()):
    """What the files of a package folder show, by name.

    Parameters
    ----------
    package : module
        An imported package.
    wanted : callable
        From an object to whether it belongs here.
    name_of : callable
        From an object to its name.
    first : sequence of str
        The files that come first, in reading order; the others follow in alphabetical order.

    Returns
    -------
    dict
        {name: object}, of what stands in a file's `__all__`.

    Raises
    ------
    ImportError
        If a file has no `__all__`, or two objects have one name.
    """
    found = {}
    for module in rooms(package, first).values():
        for one in (getattr(module, name) for name in module.__all__):
            if wanted(one):
                name = name_of(one)
                if found.setdefault(name, one) is not one:
                    raise ImportError(f"{module.__file__} shows a second {name!r}: give it another name")
    return found


def require_own_name(what, name, one, known):
    """Raise if a name is another's: a subclass that inherits its parent's would be loaded as the parent.

    Parameters
    ----------
    what : str
        The argument's name.
    name : str
        What `one` is saved under.
    one : object
    known : dict
        {name: object}, what `by_name` found.

    Raises
    ------
    ValueError
        If it is known, of something else.
    """
    if known.get(name, one) is not one:
        raise ValueError(
            f"{what} must have a name of its own, got {one!r} with the name of tinyvae's {name!r}, as which a saved "
            f"model would be loaded: give it another, such as name = 'my_{name}'"
        )
