"""Each pass gives what its twin gives, in whatever blocks it is cut and however many threads take them."""

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import mlp
from tinyvae.activations import Activation
from tinyvae.kernels import bernoulli, first_layer, gaussian_pixels, passes, units
from tinyvae.kernels.compile import loop
from tinyvae.machine import blas, team

PASSES = {**vars(passes), **vars(first_layer), **vars(units)}
SCRATCH = {("weight_gradients", 7), ("first_forward", 8), ("first_gradient", 6), ("unit_moments", 7)}
N_WORKERS = (1, 2, 3, 5)
TINY = 300, 3, 5, 300, 60, 8, 4, 6, 30  # many ragged blocks, and k in chunks, of small matrices
CUTTINGS = {"small": blas.SMALL, "large": blas.LARGE, "tiny": TINY}
ROWS = (1, 2, 3, 5, 49, 50, 51, 100, 127, 128, 129, 200, 256, 257)
WIDTHS = (1, 2, 11, 12, 13, 31, 32, 33, 63, 64, 65, 100, 129, 257, 400, 1023, 1100)


@pytest.fixture(params=CUTTINGS)
def cutting(request):
    with team.cut_into(CUTTINGS[request.param]):
        yield request.param


@pytest.fixture(scope="module")
def teams():
    made = {n: team.Team(n if team.usable() else 1) for n in N_WORKERS}
    yield made
    for one in made.values():
        one.close()


def run(one, pass_, dtype, arguments, monkeypatch):
    """A pass on a team that has not been told to leave its helpers alone."""
    one.words[team.kernels.REST] = one.words[team.kernels.ALONE] = 0
    monkeypatch.setitem(team._state, "team", one)
    team.run(dtype, (pass_, *arguments))


def copies(arguments):
    """Copies of the arrays, one of each, so that what was the same array stays the same."""
    made = {id(a): a.copy() for a in arguments if isinstance(a, np.ndarray)}
    return [made.get(id(a), a) for a in arguments]


def room(n, m):
    """For the places of ones."""
    return np.zeros((n + 1, m + 1), np.int64)


def compare(name, dtype, arguments, teams, monkeypatch, workers=N_WORKERS):
    """A pass and its twin leave the same in all arrays; any number of workers leaves the same bits."""
    dtype, by_twin = np.dtype(dtype), copies(arguments)
    plain = (getattr(a.loop, "twin", a.loop) if isinstance(a, team.Typed) else a for a in by_twin)
    with np.errstate(all="ignore"):
        PASSES[f"{name}_numpy"](*plain)
    found = []
    for n in workers:
        found.append(copies(arguments))
        run(teams[n], PASSES[name], dtype, found[-1], monkeypatch)
    for i, twin in enumerate(by_twin):
        if not isinstance(twin, np.ndarray) or (name, i) in SCRATCH:
            continue
        for other in found[1:]:
            np.testing.assert_array_equal(other[i], found[0][i])
        mine, finite = found[0][i], np.isfinite(twin)
        np.testing.assert_array_equal(mine[~finite], twin[~finite])
        size = np.abs(twin[finite]).max(initial=0)
        # Sums of at most 1,100 terms in another order, through at most six layers.
        assert np.abs(mine[finite] - twin[finite]).max(initial=0) <= 500 * np.finfo(dtype).eps * size, (name, i)


class Network:
    """A random network and a batch, its arrays as the passes take them."""

    def __init__(self, seed, dtype=None, activation=None, most=3e6, sizes=None, rows=None):
        rng = self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype or ("float32", "float64")[seed % 2])
        self.activation = activation or list(mlp.ACTIVATIONS)[seed // 2 % len(mlp.ACTIVATIONS)]
        n_hidden = int(rng.integers(0, 6))
        while True:
            self.rows = int(rng.choice(ROWS) if rng.random() < 0.7 else rng.integers(1, 258))
            self.sizes = tuple(
                int(rng.choice(WIDTHS) if rng.random() < 0.7 else rng.integers(1, 60)) for _ in range(n_hidden + 2)
            )
            if self.rows * sum(a * b for a, b in zip(self.sizes, self.sizes[1:])) < most:
                break
        sizes, rows = self.sizes, self.rows = sizes or self.sizes, rows or self.rows
        n = sum(sizes[1:-1])
        parts = [self.draw(a + 1, b) / np.sqrt(a) for a, b in zip(sizes, sizes[1:])]
        self.theta = np.concatenate([part.ravel() for part in parts]).astype(self.dtype)
        self.x, self.y, self.hidden = self.draw(rows, sizes[0]), self.nan(rows, sizes[-1]), self.nan(rows * n)
        kind = mlp.ACTIVATIONS[self.activation]
        self.saved = self.nan(rows * n) if kind.from_input else self.hidden
        self.act = team.Typed(kind.forward, (self.dtype, 2), (self.dtype, 1))
        self.slope = team.Typed(kind.backward, (self.dtype, 2), (self.dtype, 2))

    def draw(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def nan(self, *shape):
        """Room whose every element has to be written."""
        return np.full(shape, np.nan, self.dtype)

    def forward(self):
        return [self.act, self.sizes, self.rows, self.theta, self.x, self.hidden, self.saved, self.y]

    def deltas(self, dx=True):
        saved = np.tanh(self.draw(*self.saved.shape)) / 2  # within every activation's range, but those below zero
        if self.activation in ("sigmoid", "softplus"):
            saved = np.abs(saved)
        dx = self.nan(self.rows, self.sizes[0]) if dx else None
        d = self.nan(*self.hidden.shape)
        return [self.slope, self.sizes, self.rows, self.theta, self.draw(*self.y.shape), saved, d, dx]

    def weight_gradients(self, weighted):
        weights = self.draw(self.rows) if weighted else None
        room = self.nan(self.rows * sum(self.sizes[:-1])) if weighted else None
        flat, dy = self.hidden.shape, self.draw(*self.y.shape)
        grads = self.nan(*self.theta.shape)
        return [self.sizes, self.rows, self.x, self.draw(*flat), dy, self.draw(*flat), weights, room, grads]


@pytest.mark.parametrize("seed", range(24))
def test_a_network_s_passes_are_their_twins(seed, cutting, teams, monkeypatch):
    net = Network(seed)
    compare("forward", net.dtype, net.forward(), teams, monkeypatch)
    compare("deltas", net.dtype, net.deltas(dx=seed % 3 > 0), teams, monkeypatch)
    compare("weight_gradients", net.dtype, net.weight_gradients(seed % 4 > 1), teams, monkeypatch)


def test_a_pass_over_two_layers_is_its_twin(cutting, teams, monkeypatch):
    """The least that the planted bugs of tests/test_mutations.py are caught by."""
    net = Network(0, "float64", "tanh", sizes=(40, 130, 40), rows=60)
    net.y[:] = 1  # what was there is not to be added, nor NaN to hide that it was
    compare("forward", "float64", net.forward(), teams, monkeypatch)


@pytest.mark.parametrize("seed", range(8))
def test_the_moments_of_units_are_their_twins(seed, cutting, teams, monkeypatch):
    rng, dtype = np.random.default_rng(seed), ("float32", "float64")[seed % 2]
    n, draws, rows = (int(k) for k in rng.integers(1, (9, 70, 60)))
    delta, h = (rng.standard_normal(shape).astype(dtype) for shape in ((n, draws, rows), (rows, 5)))
    sums = rng.standard_normal((n, rows, rows)).astype(dtype)  # to be added to
    squares, room = np.full((n, draws), np.nan, dtype), np.empty_like(delta)
    compare("unit_moments", dtype, [n, draws, rows, delta, h @ h.T, sums, squares, room], teams, monkeypatch)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_not_finite_arrives_where_the_twin_has_it(seed, bad, cutting, teams, monkeypatch):
    def somewhere(array):
        if array is not None and array.size:
            array.reshape(-1)[net.rng.integers(array.size)] = bad

    net = Network(seed, most=2e5)
    arguments = net.forward()
    somewhere(arguments[3 + seed % 2])
    compare("forward", net.dtype, arguments, teams, monkeypatch, (1, 2))
    arguments = net.deltas()
    somewhere(arguments[3 + seed % 2])
    compare("deltas", net.dtype, arguments, teams, monkeypatch, (1, 2))
    arguments = net.weight_gradients(seed % 4 > 1)
    somewhere(arguments[(2, 3, 4, 5, 6)[seed % 5]])
    compare("weight_gradients", net.dtype, arguments, teams, monkeypatch, (1, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_rows_leave_empty_arrays_and_zero_gradients(dtype, cutting, teams, monkeypatch):
    for seed in range(6):
        net = Network(seed, dtype, most=1e6)
        net.rows, net.x, net.y = 0, net.x[:0].copy(), net.y[:0].copy()
        net.hidden = net.hidden[:0].copy()
        net.saved = net.saved[:0].copy() if mlp.ACTIVATIONS[net.activation].from_input else net.hidden
        compare("forward", dtype, net.forward(), teams, monkeypatch)
        compare("deltas", dtype, net.deltas(), teams, monkeypatch)
        for weighted in (False, True):
            compare("weight_gradients", dtype, net.weight_gradients(weighted), teams, monkeypatch)


# --- bits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.01, 0.13, 0.5, 1])
@pytest.mark.parametrize("seed", range(6))
def test_a_first_layer_of_bits_is_its_twin(seed, share, teams, monkeypatch):
    net = Network(seed * 5, ("float32", "float64")[seed % 2], most=1e6)
    rows, n_in, n_out = net.rows, int(net.rng.choice(WIDTHS)), int(net.rng.choice((1, 4, 100, 129)))
    x = (net.rng.random((rows, n_in)) < share).astype("uint8")
    W, h = net.draw((n_in + 1) * n_out + 7), net.nan(rows * n_out + 7)  # the next layer's lie behind
    saved = net.nan(rows * n_out + 7) if mlp.ACTIVATIONS[net.activation].from_input else h
    compare(
        "first_forward", net.dtype, [net.act, rows, n_in, n_out, W, x, h, saved, room(rows, n_in)], teams, monkeypatch
    )
    delta, grads = net.draw(rows * n_out + 7), net.nan((n_in + 1) * n_out + 7)
    compare("first_gradient", net.dtype, [rows, n_in, n_out, x, delta, grads, room(n_in, rows)], teams, monkeypatch)


def test_a_first_layer_of_no_rows(teams, monkeypatch):
    net, x = Network(0, "float64", "tanh"), np.empty((0, 7), "uint8")
    compare(
        "first_forward",
        "float64",
        [net.act, 0, 7, 3, net.draw(24), x, *[net.nan(0)] * 2, room(0, 7)],
        teams,
        monkeypatch,
    )
    compare("first_gradient", "float64", [0, 7, 3, x, net.nan(0), net.nan(24), room(7, 0)], teams, monkeypatch)


def test_nan_goes_through_a_first_layer_of_bits_where_there_are_ones(teams, monkeypatch):
    net = Network(0, "float64", "tanh")
    x = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]], "uint8")  # NaN times 0 is left out: nothing is multiplied
    W, h, grads = net.draw(3 + 1, 2), net.nan(6), net.nan(8)
    W[0, 1] = np.nan
    run(teams[2], first_layer.first_forward, net.dtype, [net.act, 3, 3, 2, W.ravel(), x, h, h, room(3, 3)], monkeypatch)
    assert np.isnan(h.reshape(3, 2)[0]).tolist() == [False, True]
    W[3, 0] = np.nan  # the bias
    run(teams[2], first_layer.first_forward, net.dtype, [net.act, 3, 3, 2, W.ravel(), x, h, h, room(3, 3)], monkeypatch)
    assert np.isnan(h.reshape(3, 2)[:, 0]).all()
    delta = net.draw(6)
    delta[0] = np.nan
    run(teams[2], first_layer.first_gradient, net.dtype, [3, 3, 2, x, delta, grads, room(3, 3)], monkeypatch)
    assert np.isnan(grads.reshape(4, 2)[[0, 2, 3], 0]).all() and not np.isnan(grads.reshape(4, 2)[:, 1]).any()


# --- losses and steps ---------------------------------------------------------------------------------


def losses_of(net, loss_and_slope, n_samples, bits, n_features):
    outputs = 3 * net.draw(n_samples * net.rows, n_features)
    x = (net.rng.random((net.rows, n_features)) < 0.3).astype("uint8" if bits else net.dtype)
    typed = team.Typed(loss_and_slope, (net.dtype, 2), (x.dtype, 2), (net.dtype, 1))
    return [typed, *outputs.shape, outputs, *x.shape, int(bits), x, net.nan(n_samples, net.rows), 0, None, None]


@pytest.mark.parametrize("bits", [False, True])
@pytest.mark.parametrize("n_samples", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_losses_of_several_samples_are_their_twin(seed, n_samples, bits, teams, monkeypatch):
    net = Network(seed)
    n_features = int(net.rng.choice(WIDTHS))
    arguments = losses_of(net, bernoulli.bernoulli_loss_and_slope, n_samples, bits, n_features)
    compare("losses", net.dtype, arguments, teams, monkeypatch)
    for bad in (np.nan, np.inf):
        arguments[3].reshape(-1)[net.rng.integers(arguments[3].size)] = bad
    compare("losses", net.dtype, arguments, teams, monkeypatch)


@pytest.mark.parametrize("seed", range(4))
def test_a_loss_that_takes_numbers_keeps_what_the_decoder_says(seed, teams, monkeypatch):
    net = Network(seed)
    *arguments, _, _, _ = losses_of(net, gaussian_pixels.gaussian_loss_and_slope, 2, False, 13)
    arguments[0] = team.Typed(arguments[0].loop, (net.dtype, 2), (net.dtype, 2), (net.dtype, 1), (net.dtype, 1))
    numbers, kept = np.exp(net.draw(26)), net.nan(*arguments[3].shape)
    compare("losses", net.dtype, [*arguments, 26, numbers, kept], teams, monkeypatch)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 100, passes.ELEMENTS, passes.ELEMENTS + 1, 3 * passes.ELEMENTS - 1])
def test_adam_s_update_is_its_twin(n, dtype, teams, monkeypatch):
    rng = np.random.default_rng(n)
    theta, grad, m, v = rng.standard_normal((4, n)).astype(dtype)
    grad[rng.integers(n)] = np.nan
    numbers = np.array([1e-3, 0.9, 0.999, 1.5, 1e-8])
    compare("update", dtype, [n, theta, grad, m, np.abs(v), numbers], teams, monkeypatch)


# --- a new activation, a new likelihood: no new pass -----------------------------------------------------


def bias_sine_numpy(a, b):
    """a <- sin(a + b). a (B, n), b (n,)."""
    np.sin(a + b, out=a)


@loop(bias_sine_numpy)
def bias_sine(a, b):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = np.sin(a[i, j] + b[j])


def sine_backward_numpy(dy, a):
    """dy <- dy cos(a). dy, a (B, n)."""
    dy *= np.cos(a)


@loop(sine_backward_numpy)
def sine_backward(dy, a):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= np.cos(a[i, j])


def square_loss_and_slope_numpy(outputs, x, losses):
    """loss_r = sum_d (x_rd - o_rd)^2 / 2, and the outputs (S B, D) become o - x; x (B, D)."""
    outputs -= np.resize(x, outputs.shape)
    losses[:] = 0.5 * (outputs * outputs).sum(axis=1)


@loop(square_loss_and_slope_numpy)
def square_loss_and_slope(outputs, x, losses):
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], outputs.dtype.type(0)
        for j in range(outputs.shape[1]):
            outputs[i, j] -= outputs.dtype.type(x[row, j])
            total += outputs[i, j] * outputs[i, j]
        losses[i] = total / 2


class Square(tv.Bernoulli):
    """A likelihood of a loop of its own."""

    name = "square"
    loss_and_slope = staticmethod(square_loss_and_slope)

    @staticmethod
    def loss(outputs, x, losses):
        square_loss_and_slope_numpy(outputs.copy(), x, losses)


@pytest.mark.skipif(not team.usable(), reason="passes are compiled")
@pytest.mark.parametrize("bits", [False, True])
@pytest.mark.parametrize("activation, likelihood", [("sine", tv.Bernoulli), ("tanh", Square), ("sine", Square)])
def test_a_new_activation_and_a_new_likelihood_need_no_new_pass(activation, likelihood, bits, teams, monkeypatch):
    from tinyvae.models import step

    monkeypatch.setitem(mlp.ACTIVATIONS, "sine", Activation(bias_sine, sine_backward, from_input=True))
    ran, run_ = [], team.run
    monkeypatch.setattr(team, "run", lambda *arguments: ran.append(arguments) or run_(*arguments))
    monkeypatch.setitem(team._state, "team", teams[3])
    vae = tv.VAE(30, 2, (100, 6), activation=activation, likelihood=likelihood, dtype="float64")
    rng = np.random.default_rng(0)
    x = (rng.random((13, 30)) < 0.2).astype("uint8" if bits else "float64")
    eps, found = rng.standard_normal((2, 13, 2)), []
    for one in (step.step, step.step_numpy):
        grads = np.full_like(vae.theta, np.nan)
        found.append((one(vae, x, eps, tv.estimators.reparameterization, tv.ELBO(), rng, grads), grads))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=1e-11)
    calls = [call for _, *calls in ran for call in calls]
    loops = {argument.loop for call in calls for argument in call if isinstance(argument, team.Typed)}
    assert {mlp.ACTIVATIONS[activation].forward, likelihood.loss_and_slope} <= loops

    def loss_and_grads(theta):
        vae.theta = theta
        return vae.loss_and_grads(x[:3], eps[:, :3])

    tv.check.gradients(loss_and_grads, vae.theta.copy())
