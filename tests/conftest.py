"""What several test files share: exact expectations, numeric derivatives, a small piece of real data."""

import signal

import numpy as np
import pytest

from tinyvae import datasets

# A shell's background job ignores these signals, and so would the processes that the tests start and interrupt.
for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        signal.signal(getattr(signal, name), handler)


@pytest.fixture(scope="session")
def nodes():
    """nodes(n): points and weights with sum_i w_i f(e_i) = E[f(e)], e ~ N(0, 1).

    Exact for polynomials of degree 2n - 1.
    """

    def gauss_hermite(n):
        points, weights = np.polynomial.hermite_e.hermegauss(n)
        return points, weights / weights.sum()

    return gauss_hermite


@pytest.fixture(scope="session")
def numeric_gradient():
    """numeric_gradient(f, x): df/dx, by central differences.

    f is a scalar function of no arguments that reads the float64 array x.
    """

    def gradient(function, x, step=1e-5):
        result = np.empty_like(x)
        for i in np.ndindex(x.shape):
            centre = x[i]
            x[i] = centre + step
            up = function()
            x[i] = centre - step
            down = function()
            x[i] = centre
            result[i] = (up - down) / (2 * step)
        return result

    return gradient


@pytest.fixture(scope="session")
def digits():
    """500 of the training digits."""
    return datasets.load("digits").train[:500]


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are made, but none is drawn, which takes a second each: their files hold a PNG's first bytes."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **_: file.write(b"\x89PNG\r\n\x1a\n"))
