"""Backprop by hand, and where its time goes

Question: how do you differentiate a dense layer with pencil and paper, and how close to the hardware's limit can the
result run?

There is no autograd in this package. This lesson derives one layer's backward pass index by index, checks each formula
against finite differences, and then makes the same six lines faster, step by step, until only the matrix products are
left.
"""

# %% [markdown]
# You need the chain rule and NumPy. Every array carries its shape at the end of the line: B is the number of data
# points in a batch, n the inputs and m the outputs of a layer. Times depend on your machine, and vary from run to run;
# the gradients do not.

# %%
import contextlib
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyvae as tv
from tinyvae import bench, check
from tinyvae.kernels import dense, first_layer, optimizers, passes
from tinyvae.machine import arena, blas, team, workers

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"  # told apart by colour-blind readers
rng = np.random.default_rng(0)

# %% [markdown]
# ## One layer, forward
# Each output is a weighted sum of the inputs, plus a bias, through tanh:
#
#     a_bj = Σ_i x_bi W_ij + b_j          y_bj = tanh(a_bj)
#
# As loops, exactly as it stands there:


# %%
def forward_loops(x, W, b):
    y = np.empty((len(x), W.shape[1]), x.dtype)  # B, m
    for row in range(len(x)):
        for j in range(W.shape[1]):
            a = b[j]
            for i in range(W.shape[0]):
                a += x[row, i] * W[i, j]
            y[row, j] = np.tanh(a)
    return y


# %% [markdown]
# ## One layer, backward
# Somewhere behind the layer stands a loss L, one number. Suppose somebody hands us its derivative with respect to every
# output, dy_bj = ∂L/∂y_bj. We want ∂L/∂W, ∂L/∂b, and ∂L/∂x for the layer before us. The rule is always the same:
# *follow every path from the variable to the loss, multiply along it, add over the paths.*
#
# **Through tanh.** a_bj reaches the loss by one path, y_bj. Since tanh' = 1 - tanh², the slope is known from the
# output:
#
#     da_bj = dy_bj (1 - y_bj²)
#
# **The weights.** W_ij stands in a_bj for *every* data point b, and in no other column. One path a data point, each
# with the slope ∂a_bj/∂W_ij = x_bi:
#
#     dW_ij = Σ_b x_bi da_bj
#
# **The bias.** The same paths, with slope 1:   db_j = Σ_b da_bj
#
# **The inputs.** x_bi stands in a_bj for every *output* j, with slope W_ij:   dx_bi = Σ_j da_bj W_ij


# %%
def backward_loops(x, W, y, dy):
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(dy[0])  # B, n; n, m; m
    for row in range(len(x)):
        for j in range(W.shape[1]):
            da = dy[row, j] * (1 - y[row, j] ** 2)
            db[j] += da
            for i in range(W.shape[0]):
                dW[i, j] += x[row, i] * da
                dx[row, i] += da * W[i, j]
    return dx, dW, db


# %% [markdown]
# ## Is it right? Nudge and see
# Take a loss with a known derivative, L = Σ c_bj y_bj with fixed random numbers c, so that dy = c. Move one argument a
# little in some direction, and see whether L changes as the gradient says. `check.gradients` does this with central
# differences in float64, along single coordinates and along random directions, and raises if they disagree by more
# than 1e-7 of the gradient's norm.

# %%
B, n, m = 5, 7, 4
arguments = {"x": rng.standard_normal((B, n)), "W": rng.standard_normal((n, m)) / n**0.5, "b": rng.standard_normal(m)}
c = rng.standard_normal((B, m))  # B, m


def error_of(name, forward, backward):
    """The relative error of the gradient with respect to one argument, the others held fixed."""

    def loss_and_gradient(theta):
        given = {**arguments, name: theta.reshape(arguments[name].shape)}
        y = forward(given["x"], given["W"], given["b"])  # B, m
        gradients = dict(zip(("x", "W", "b"), backward(given["x"], given["W"], y, c)))
        return (c * y).sum(), gradients[name].ravel()

    return check.gradients(loss_and_gradient, arguments[name].ravel()).error


errors = {name: error_of(name, forward_loops, backward_loops) for name in arguments}
for name, error in errors.items():
    print(f"d{name}: differs from finite differences by {error:.1e} of its norm")

# %% [markdown]
# What does a mistake look like? Forget the slope of tanh, a line that runs without complaint and has the right shape:


# %%
def backward_wrong(x, W, y, dy):
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)


try:
    error_of("W", forward_loops, backward_wrong)
except AssertionError as found:
    print(str(found).splitlines()[0])

# %% [markdown]
# ## The same in matrices
# Each sum over a shared index is a matrix product. Read the indices: Σ_b x_bi da_bj pairs the *rows* of x with the
# rows of da, so x is transposed.
#
#     y  = tanh(x W + b)      # B, m
#     da = dy (1 - y²)        # B, m
#     dW = x' da              # n, m
#     db = 1' da              # m
#     dx = da W'              # B, n
#
# The shapes leave no other choice: try to write down a product of a (B, n) and a (B, m) that has shape (n, m).


# %%
def forward_numpy(x, W, b):
    return np.tanh(x @ W + b)  # B, m


def backward_numpy(x, W, y, dy):
    da = dy * (1 - y * y)  # B, m
    return da @ W.T, x.T @ da, da.sum(axis=0)  # B, n; n, m; m


for name in arguments:
    errors[f"{name}, matrices"] = error_of(name, forward_numpy, backward_numpy)
y_small = forward_numpy(**arguments)  # B, m
for ours, theirs in zip(
    backward_numpy(arguments["x"], arguments["W"], y_small, c),
    backward_loops(arguments["x"], arguments["W"], y_small, c),
):
    assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-14)
print(f"loops and matrices agree; largest error against finite differences {max(errors.values()):.1e}")

# %% [markdown]
# A network is nothing more. The dx of one layer is the dy of the one before it, and so on back to the data: that is
# all of backpropagation. `tv.MLP` does it for any number of layers (`kernels/passes.py`), and passes the same check.

# %%
mlp = tv.MLP((7, 6, 5, 4), dtype="float64", rng=rng)


def network(theta):
    mlp.theta[:] = theta
    y, cache = mlp.forward(arguments["x"])
    _, grads = mlp.backward(cache, c)
    return (c * y).sum(), np.concatenate([grads[name].ravel() for name in mlp.params])


errors["MLP"] = check.gradients(network, mlp.theta).error
print(f"three layers, {len(mlp.theta)} parameters: error {errors['MLP']:.1e}")

