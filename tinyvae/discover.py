"""A folder's rooms, found by looking.

A file that is put beside the others is known by name, and nothing else need change.
"""

import importlib
import pkgutil

__all__ = ["shown_in"]


def shown_in(package, first=()):
    """Yield what the modules of a package folder show (their `__all__`), the modules named in `first` first.

    Parameters
    ----------
    package : module
        An imported package.
    first : sequence of str
        Module names, in reading order; the others follow in alphabetical order.

    Yields
    ------
    object
        What a module's `__all__` names, in its order; a module without one shows nothing.
    """
    rooms = [room.name for room in pkgutil.iter_modules(package.__path__)]
    for room in (*first, *(room for room in rooms if room not in first)):
        module = importlib.import_module(f"{package.__name__}.{room}")
        for name in getattr(module, "__all__", ()):
            yield getattr(module, name)
