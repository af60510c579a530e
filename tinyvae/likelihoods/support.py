"""Where a likelihood's data may lie: the checks that several likelihoods share."""

from tinyvae import validate

__all__ = ["unit_interval", "real_numbers"]

OUTSIDE = "rescale it first, or take the likelihood 'gaussian', of any real numbers"


def unit_interval(name, x, n_features):
    """Data in [0, 1].

    Parameters
    ----------
    name : str
        What the data are called in a message.
    x : array (n, n_features)
        Floats in [0, 1], or bool or uint8 holding 0 and 1.
    n_features : int

    Returns
    -------
    array (n, n_features)
        See `validate.data`.

    Raises
    ------
    ValueError or TypeError
        For what does not fit; values outside [0, 1] are told the likelihood that takes them.
    """
    return validate.data(name, x, n_features, OUTSIDE)


def real_numbers(name, x, n_features):
    """Data of any finite real numbers.

    Parameters
    ----------
    name : str
        What the data are called in a message.
    x : array (n, n_features)
        Of any type of real numbers; what they are scaled to is left alone.
    n_features : int

    Returns
    -------
    array (n, n_features)
        `x`.

    Raises
    ------
    ValueError or TypeError
        For what does not fit.
    """
    x = validate.real(name, x)
    validate.check_shape(name, x, ("n", n_features))
    if not len(x):
        raise ValueError(f"{name} must hold at least one row, got shape {x.shape}")
    if x.dtype.kind == "f":
        validate.check_finite(name, x)
    return x
