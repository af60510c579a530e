"""Every door of the package, and what it says to input that does not fit: what was expected, what came."""

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.estimators import leave_one_out, reparameterization, score_function

RNG = np.random.default_rng(0)
MLP = tv.MLP((3, 4, 2), dtype="float64", rng=np.random.default_rng(0))
Q = tv.DiagonalGaussian(np.zeros((2, 3)), np.zeros((2, 3)))
VAE = tv.VAE(4, 2, hidden=(3,), dtype="float64")
X = np.full((5, 4), 0.5)
EPS = np.zeros((1, 5, 2))
TARGET = tv.Target(lambda z: z.sum(axis=-1), lambda z: np.ones_like(z))


def nan(*shape):
    """Zeros but for a NaN in the last place."""
    array = np.zeros(shape)
    array[(-1,) * len(shape)] = np.nan
    return array


def mlp(*args, **options):
    return tv.MLP(*args, **{"rng": RNG, **options})


def backward(dy, of=None):
    of = of or MLP
    return MLP.backward(of.forward(np.zeros((2, 3), of.dtype))[1], dy)


def returns(f, dparams=None):
    """loss_and_grads with an estimator that returns f and dparams."""
    return VAE.loss_and_grads(X, EPS, lambda *arguments: f if dparams is None else tv.Draws(f, dparams))


def step_twice(optimizer, n, then, dtype="float64"):
    optimizer.step(np.zeros(n), np.zeros(n))
    optimizer.step(np.zeros(then, dtype), np.zeros(then, dtype))


DOORS = {
    "MLP": [
        (lambda: mlp((3,)), ValueError, r"sizes must name at least an input and an output, .*, got \(3,\)"),
        (lambda: mlp(3), TypeError, r"sizes must be a tuple of integers such as .*, got 3"),
        (lambda: mlp((3, 0)), ValueError, "each of sizes must be at least 1, got 0"),
        (lambda: mlp((3, 2.0)), TypeError, "each of sizes must be an integer, got 2.0"),
        (lambda: mlp((3, True)), TypeError, "each of sizes must be an integer, got True"),
        (lambda: mlp((3, 2), "swish"), ValueError, "activation must be one of 'identity', 'tanh', .*, got 'swish'"),
        (lambda: mlp((3, 2), ["tanh"]), ValueError, r"activation must be one of .*, got \['tanh'\]"),
        (lambda: mlp((3, 2), None), ValueError, "activation must be one of .*, got None"),
        (lambda: mlp((3, 2), dtype="float16"), TypeError, "dtype must be 'float32' or 'float64', got 'float16'"),
        (lambda: mlp((3, 2), dtype=None), TypeError, "dtype must be 'float32' or 'float64', got None"),
        (lambda: mlp((3, 2), dtype="int64"), TypeError, "dtype must be 'float32' or 'float64', got 'int64'"),
        (
            lambda: mlp((3, 2), dtype="double precision"),
            TypeError,
            "dtype must be 'float32' or 'float64', got 'double precision'",
        ),
        (lambda: mlp((3, 2), init="zeros"), ValueError, "init must be one of 'glorot', 'he', got 'zeros'"),
        (lambda: mlp((3, 2), rng=0), TypeError, "rng must be a numpy.random.Generator such as .*, got int"),
        (lambda: mlp((3, 2), rng=None), TypeError, "rng must be a numpy.random.Generator such as .*, got NoneType"),
        (lambda: mlp((3, 2), rng=np.random.RandomState(0)), TypeError, "rng must be .*, got RandomState"),
    ],
    "MLP.forward": [
        (lambda: MLP.forward(np.zeros((2, 4))), ValueError, r"x must have shape \(B, 3\), got \(2, 4\)"),
        (lambda: MLP.forward(np.zeros(3)), ValueError, r"x must have shape \(B, 3\), got \(3,\)"),
        (
            lambda: MLP.forward(np.zeros((2, 3), "float32")),
            TypeError,
            r"x must be float64, got float32; convert it with x.astype\('float64'\)",
        ),
        (lambda: MLP.forward(np.zeros((2, 3), int)), TypeError, "x must be float64, got int64; convert"),
        (lambda: MLP.forward([["a", "b", "c"]]), TypeError, "x must be float64, got <U1; convert"),
        (lambda: MLP.forward(nan(2, 3)), ValueError, r"x must be finite, got nan at index \(1, 2\); remove"),
        (
            lambda: MLP.forward(np.full((2, 3), -np.inf)),
            ValueError,
            r"x must be finite, got -inf at index \(0, 0\); remove",
        ),
    ],
    "MLP.backward": [
        (lambda: backward(np.zeros((3, 2))), ValueError, r"dy must have shape \(2, 2\), got \(3, 2\)"),
        (lambda: backward(np.zeros((2, 2), "float32")), TypeError, "dy must be float64, got float32"),
        (lambda: backward(nan(2, 2)), ValueError, r"dy must be finite, got nan at index \(1, 1\)"),
        (
            lambda: backward(np.zeros((2, 2)), mlp((3, 5, 2), dtype="float64")),
            ValueError,
            r"cache must be of sizes .*5",
        ),
        (lambda: backward(np.zeros((2, 2)), mlp(MLP.sizes)), ValueError, "cache must be of .* float64, got .* float32"),
        (lambda: MLP.backward(X, np.zeros((2, 2))), TypeError, "cache must be the Cache that forward .* got ndarray"),
    ],
    "DiagonalGaussian": [
        (lambda: tv.DiagonalGaussian(np.zeros(3), np.zeros(3)), ValueError, r"mu must have shape \(B, K\), got \(3,\)"),
        (
            lambda: tv.DiagonalGaussian(np.zeros((2, 3)), np.zeros((2, 2))),
            ValueError,
            r"logvar must have shape \(2, 3\), got \(2, 2\)",
        ),
        (
            lambda: tv.DiagonalGaussian(np.zeros((2, 3)), np.zeros((1, 3))),
            ValueError,
            r"logvar must have shape \(2, 3\), got \(1, 3\)",
        ),
        (
            lambda: tv.DiagonalGaussian(np.zeros((2, 3), int), np.zeros((2, 3))),
            TypeError,
            "mu must be float32 or float64, got int64; convert",
        ),
        (
            lambda: tv.DiagonalGaussian(np.zeros((2, 3)), np.zeros((2, 3), "float32")),
            TypeError,
            "logvar must be float64, got float32; convert",
        ),
        (
            lambda: tv.DiagonalGaussian(nan(2, 3), np.zeros((2, 3))),
            ValueError,
            r"mu must be finite, got nan at index \(1, 2\)",
        ),
        (
            lambda: tv.DiagonalGaussian(np.zeros((2, 3)), np.full((2, 3), np.inf)),
            ValueError,
            "logvar must be finite, got inf at index",
        ),
        (lambda: Q.noise(RNG, 0), ValueError, "n_samples must be at least 1, got 0"),
        (lambda: Q.noise(RNG, 1.5), TypeError, "n_samples must be an integer, got 1.5"),
        (lambda: Q.noise(0, 1), TypeError, "rng must be a numpy.random.Generator such as .*, got int"),
        (lambda: Q.sample(np.zeros((2, 3))), ValueError, r"eps must have shape \(S, 2, 3\), got \(2, 3\)"),
        (lambda: Q.sample(np.zeros((1, 3, 3))), ValueError, r"eps must have shape \(S, 2, 3\), got \(1, 3, 3\)"),
        (lambda: Q.sample(np.zeros((1, 2, 3), "float32")), TypeError, "eps must be float64, got float32"),
        (lambda: Q.sample(nan(1, 2, 3)), ValueError, r"eps must be finite, got nan at index \(0, 1, 2\)"),
        *[
            (lambda method=method: getattr(Q, method)(z), error, message)
            for method in ("log_prob", "score", "log_ratio", "log_ratio_grad")
            for z, error, message in [(np.zeros((2, 3)), ValueError, r"z must have shape \(S, 2, 3\), got \(2, 3\)")]
        ],
        (lambda: Q.log_prob(nan(1, 2, 3)), ValueError, "z must be finite, got nan"),
        (
            lambda: Q.path(np.zeros((1, 2, 3)), np.zeros((2, 2, 3))),
            ValueError,
            r"dz must have shape \(2, 2, 3\), got \(1, 2, 3\)",
        ),
    ],
    "Bernoulli": [
        (lambda: tv.Bernoulli(np.zeros(3)), ValueError, r"logits must have shape \(n, D\), got \(3,\)"),
        (lambda: tv.Bernoulli(nan(2, 3)), ValueError, r"logits must be finite, got nan at index \(1, 2\)"),
        (lambda: tv.Bernoulli(np.zeros((2, 3), int)), TypeError, "logits must be float32 or float64, got int64"),
        (
            lambda: tv.Bernoulli(np.zeros((2, 3))).log_prob(np.zeros((2, 4))),
            ValueError,
            r"x must have shape \(n, 3\), got \(2, 4\)",
        ),
        (
            lambda: tv.Bernoulli(np.zeros((2, 3))).log_prob(np.zeros((1, 3))),
            ValueError,
            r"x must have shape \(2, 3\), got \(1, 3\)",
        ),
        (
            lambda: tv.Bernoulli(np.zeros((2, 3))).log_prob(np.full((2, 3), 1.01)),
            ValueError,
            r"x must lie in \[0, 1\], got values from 1.01 to 1.01; rescale",
        ),
        (
            lambda: tv.Bernoulli(np.zeros((2, 3))).log_prob(np.full((2, 3), -1e-9)),
            ValueError,
            r"x must lie in \[0, 1\], got values from -1e-09",
        ),
    ],
    "Target": [
        (lambda: tv.Target(3), TypeError, r"Target's value must be a function of z \(S, B, K\), got int"),
        (lambda: tv.Target(np.sum, "slope"), TypeError, "Target's grad must be a function .*, got str"),
        (
            lambda: tv.Target(lambda z: z)(np.zeros((1, 2, 3))),
            ValueError,
            r"the target's value must return shape \(1, 2\), got \(1, 2, 3\)",
        ),
        (
            lambda: tv.Target(np.sum)(np.zeros((1, 2, 3))),
            ValueError,
            r"the target's value must return shape \(1, 2\), got \(\)",
        ),
        (
            lambda: tv.Target(np.sum, np.sum).grad(np.zeros((1, 2, 3))),
            ValueError,
            r"the target's grad must return shape \(1, 2, 3\), got \(\)",
        ),
        (
            lambda: tv.Target(lambda z: z.sum(axis=2) + 1j)(np.zeros((1, 2, 3))),
            TypeError,
            "the target's value must be real numbers, got complex128; convert",
        ),
        (
            lambda: tv.Target(np.sum).grad(np.zeros((1, 2, 3))),
            ValueError,
            "this estimator needs df/dz: give the target one",
        ),
    ],
    "estimators": [
        *[
            (
                lambda estimator=estimator: estimator(Q, TARGET, np.zeros((2, 2, 4))),
                ValueError,
                r"eps must have shape \(S, 2, 3\), got \(2, 2, 4\)",
            )
            for estimator in (reparameterization, score_function, leave_one_out)
        ],
        *[
            (
                lambda estimator=estimator: estimator(Q, TARGET, np.zeros((2, 2, 3), "float32")),
                TypeError,
                "eps must be float64, got float32",
            )
            for estimator in (reparameterization, score_function, leave_one_out)
        ],
        *[
            (
                lambda estimator=estimator: estimator(Q, TARGET, np.zeros((2, 2, 3)), "elbo"),
                TypeError,
                r"objective must be an objective such as tv.ELBO\(\), got 'elbo'",
            )
            for estimator in (reparameterization, score_function, leave_one_out)
        ],
        (
            lambda: leave_one_out(Q, TARGET, np.zeros((1, 2, 3))),
            ValueError,
            "leave_one_out needs n_samples of at least 2, got 1: give n_samples=2",
        ),
        (
            lambda: leave_one_out(Q, TARGET, np.zeros((2, 3))),
            ValueError,
            r"eps must have shape \(S, B, K\), got \(2, 3\)",
        ),
        (
            lambda: reparameterization(Q, tv.Target(lambda z: z.sum(-1)), np.zeros((1, 2, 3))),
            ValueError,
            "this estimator needs df/dz",
        ),
        (
            lambda: tv.estimators.make("magic"),
            ValueError,
            "estimator must be one of 'reparameterization', 'score_function', .*, got 'magic'",
        ),
        (lambda: tv.estimators.make(None), ValueError, "estimator must be one of .*, got None"),
        (
            lambda: tv.estimators.make("score_function", decay=0.9),
            TypeError,
            "score_function takes no options, got decay",
        ),
        (
            lambda: tv.estimators.make("gumbel_softmax", tau=1),
            TypeError,
            "gumbel_softmax takes the options temperature, got tau",
        ),
        (lambda: tv.estimators.make("relax", hidden=8), TypeError, "hidden must be a tuple of integers .*got 8"),
    ],
    "ELBO": [
        (lambda: tv.ELBO(beta=-1), ValueError, "beta must be finite and at least 0, got -1"),
        (lambda: tv.ELBO(beta=np.nan), ValueError, "beta must be finite and at least 0, got nan"),
        (lambda: tv.ELBO(beta="1"), TypeError, "beta must be a number, got '1'"),
        (lambda: tv.ELBO(beta=True), TypeError, "beta must be a number, got True"),
        (lambda: tv.ELBO(kl="exact"), ValueError, "kl must be one of 'analytic', 'monte_carlo', got 'exact'"),
    ],
    "VAE": [
        (lambda: tv.VAE(0, 2), ValueError, "n_features must be at least 1, got 0"),
        (lambda: tv.VAE(4.0, 2), TypeError, "n_features must be an integer, got 4.0"),
        (lambda: tv.VAE(4, -1), ValueError, "n_latents must be at least 1, got -1"),
        (lambda: tv.VAE(4, "2"), TypeError, "n_latents must be an integer, got '2'"),
        (lambda: tv.VAE(4, 2, hidden=200), TypeError, r"hidden must be a tuple of integers such as \(200,\), got 200"),
        (lambda: tv.VAE(4, 2, hidden=(0,)), ValueError, "each of hidden must be at least 1, got 0"),
        (lambda: tv.VAE(4, 2, hidden=(1.5,)), TypeError, "each of hidden must be an integer, got 1.5"),
        (lambda: tv.VAE(4, 2, activation="swish"), ValueError, "activation must be one of .*, got 'swish'"),
        (
            lambda: tv.VAE(4, 2, likelihood="poisson"),
            ValueError,
            "likelihood must be one of 'bernoulli'.*, got 'poisson'",
        ),
        (lambda: tv.VAE(4, 2, dtype="float16"), TypeError, "dtype must be 'float32' or 'float64', got 'float16'"),
        (lambda: tv.VAE(4, 2, seed=-1), ValueError, "seed must be at least 0, got -1"),
        (lambda: tv.VAE(4, 2, seed=None), TypeError, "seed must be an integer, got None"),
    ],
    "VAE.loss_and_grads": [
        (lambda: VAE.loss_and_grads(np.zeros((5, 3)), EPS), ValueError, r"x must have shape \(n, 4\), got \(5, 3\)"),
        (
            lambda: VAE.loss_and_grads(np.zeros((0, 4)), EPS),
            ValueError,
            r"x must hold at least one row, got shape \(0, 4\)",
        ),
        (
            lambda: VAE.loss_and_grads(X + 1, EPS),
            ValueError,
            r"x must lie in \[0, 1\], got values from 1.5 to 1.5; rescale",
        ),
        (
            lambda: VAE.loss_and_grads(nan(5, 4), EPS),
            ValueError,
            r"x must be finite, got nan at index \(4, 3\); remove",
        ),
        (
            lambda: VAE.loss_and_grads(np.full((5, 4), 255, np.uint8), EPS),
            ValueError,
            "x of type uint8 must hold 0 and 1 only, got 255; divide",
        ),
        (
            lambda: VAE.loss_and_grads(np.zeros((5, 4), int), EPS),
            TypeError,
            "x must be float32, float64, bool or uint8, got int64; convert",
        ),
        (lambda: VAE.loss_and_grads(X, np.zeros((5, 2))), ValueError, r"eps must have shape \(S, 5, 2\), got \(5, 2\)"),
        (
            lambda: VAE.loss_and_grads(X, np.zeros((1, 4, 2))),
            ValueError,
            r"eps must have shape \(S, 5, 2\), got \(1, 4, 2\)",
        ),
        (lambda: VAE.loss_and_grads(X, np.zeros((0, 5, 2))), ValueError, "needs n_samples of at least 1, got 0"),
        (lambda: VAE.loss_and_grads(X, EPS.astype("float32")), TypeError, "eps must be float64, got float32; convert"),
        (lambda: VAE.loss_and_grads(X, nan(1, 5, 2)), ValueError, "eps must be finite, got nan"),
        (lambda: VAE.loss_and_grads(X, EPS, "magic"), ValueError, "estimator must be one of .*, got 'magic'"),
        (lambda: VAE.loss_and_grads(X, EPS, None), TypeError, "estimator must be a name or a function of .*, got None"),
        (
            lambda: VAE.loss_and_grads(X, EPS, "leave_one_out"),
            ValueError,
            "leave_one_out needs n_samples of at least 2, got 1",
        ),
        (
            lambda: VAE.loss_and_grads(X, EPS, objective="elbo"),
            TypeError,
            "objective must be an objective such as .*, got 'elbo'",
        ),
        (
            lambda: VAE.loss_and_grads(X, EPS, objective=None),
            TypeError,
            "objective must be an objective such as .*, got None",
        ),
        (
            lambda: VAE.loss_and_grads(X, EPS, objective=tv.ELBO),
            TypeError,
            "objective must be an objective such as .*, got <class",
        ),
        (
            lambda: VAE.loss_and_grads(X, EPS, rng=0),
            TypeError,
            "rng must be a numpy.random.Generator such as .*, got int",
        ),
    ],
    "what a reader's own estimator returns": [
        (lambda: returns(None), TypeError, r"the estimator must return tv.Draws\(f, dparams\), got NoneType"),
        (
            lambda: returns((np.zeros((1, 5)), np.zeros((1, 5, 4)))),
            TypeError,
            r"the estimator must return tv.Draws\(f, dparams\), got tuple",
        ),
        (
            lambda: returns(np.zeros((1, 5)), np.zeros((1, 5, 4)) + 1j),
            TypeError,
            "the estimator's dparams must be real numbers, got complex128; convert",
        ),
        (
            lambda: returns(np.array([["a"] * 5]), np.zeros((1, 5, 4))),
            TypeError,
            "the estimator's f must be real numbers, got <U1; convert",
        ),
        (
            lambda: returns(np.zeros(5), np.zeros((1, 5, 4))),
            ValueError,
            r"the estimator's f must have shape \(1, 5\), got \(5,\)",
        ),
        (
            lambda: returns(np.zeros((1, 5)), np.zeros((5, 4))),
            ValueError,
            r"the estimator's dparams must have shape \(1, 5, 4\), got \(5, 4\)",
        ),
        (
            lambda: returns(np.zeros((1, 5)), np.zeros((1, 5, 2))),
            ValueError,
            r"the estimator's dparams must have shape \(1, 5, 4\), got \(1, 5, 2\)",
        ),
    ],
    "VAE's other methods": [
        (lambda: VAE.encode(np.zeros((5, 3))), ValueError, r"x must have shape \(n, 4\), got \(5, 3\)"),
        (lambda: VAE.encode(X[0]), ValueError, r"x must have shape \(n, 4\), got \(4,\)"),
        (lambda: VAE.encode(X * 3), ValueError, r"x must lie in \[0, 1\]"),
        (lambda: VAE.reconstruct(-X), ValueError, r"x must lie in \[0, 1\], got values from -0.5 to -0.5"),
        (lambda: VAE.decode(np.zeros((5, 3))), ValueError, r"z must have shape \(n, 2\), got \(5, 3\)"),
        (lambda: VAE.decode(np.zeros((5, 2), "float32")), TypeError, "z must be float64, got float32; convert"),
        (lambda: VAE.decode(nan(5, 2)), ValueError, "z must be finite, got nan"),
        (lambda: VAE.sample(-1, RNG), ValueError, "n must be at least 0, got -1"),
        (lambda: VAE.sample(2.0, RNG), TypeError, "n must be an integer, got 2.0"),
        (lambda: VAE.sample(2, 0), TypeError, "rng must be a numpy.random.Generator such as .*, got int"),
        (lambda: tv.evaluate.bound(VAE, X[:, :2]), ValueError, r"x must have shape \(n, 4\), got \(5, 2\)"),
        (lambda: tv.evaluate.bound(VAE, X, n_samples=0), ValueError, "n_samples must be at least 1, got 0"),
    ],
    "train": [
        (lambda: tv.train(VAE, X[:, :2]), ValueError, r"x must have shape \(n, 4\), got \(5, 2\)"),
        (lambda: tv.train(VAE, X[:0]), ValueError, "x must hold at least one row"),
        (lambda: tv.train(VAE, 2 * X + 0.5), ValueError, r"x must lie in \[0, 1\], got values from 1.5 to 1.5"),
        (lambda: tv.train(VAE, X.astype(int)), TypeError, "x must be float32, float64, bool or uint8, got int64"),
        (lambda: tv.train(VAE, X, estimator="magic"), ValueError, "estimator must be one of .*, got 'magic'"),
        (lambda: tv.train(VAE, X, estimator=3), TypeError, "estimator must be a name or a function of .*, got 3"),
        (
            lambda: tv.train(VAE, X, objective="elbo"),
            TypeError,
            "objective must be an objective such as .*, got 'elbo'",
        ),
        (
            lambda: tv.train(VAE, X, optimizer="adam"),
            TypeError,
            r"optimizer must be an optimiser such as tv.Adam\(1e-3\), got 'adam'",
        ),
        (
            lambda: tv.train(VAE, X, optimizer=tv.Adam),
            TypeError,
            "optimizer must be an optimiser such as .*, got <class",
        ),
        (lambda: tv.train(VAE, X, n_samples=0), ValueError, "n_samples must be at least 1, got 0"),
        (lambda: tv.train(VAE, X, epochs=-1), ValueError, "epochs must be at least 0, got -1"),
        (lambda: tv.train(VAE, X, epochs=1.5), TypeError, "epochs must be an integer, got 1.5"),
        (lambda: tv.train(VAE, X, batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: tv.train(VAE, X, seed="1"), TypeError, "seed must be an integer, got '1'"),
        (lambda: tv.fit(VAE, X, batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: tv.fit(VAE, X, validation=X + 1), ValueError, r"validation must lie in \[0, 1\], got values from 1.5"),
        (lambda: tv.fit(VAE, X, epochs=None), TypeError, "epochs must be an integer, got None"),
        (lambda: tv.fit(VAE, X, learning_rate=1), TypeError, "unexpected keyword argument 'learning_rate'"),
    ],
    "SGD and Adam": [
        (lambda: tv.SGD(-1), ValueError, "rate must be finite and at least 0, got -1"),
        (lambda: tv.SGD("fast"), TypeError, "rate must be a number, got 'fast'"),
        (
            lambda: tv.SGD(momentum=1.5),
            ValueError,
            "momentum must be .* at least 0 and at most 0.9999999999999999, got 1.5",
        ),
        (lambda: tv.Adam(np.inf), ValueError, "rate must be finite and at least 0, got inf"),
        (lambda: tv.Adam(beta1=1.0), ValueError, "beta1 must be .* at least 0 and at most 0.9999999999999999, got 1"),
        (
            lambda: tv.Adam(beta2=-0.1),
            ValueError,
            "beta2 must be .* at least 0 and at most 0.9999999999999999, got -0.1",
        ),
        (
            lambda: tv.SGD(momentum=1),
            ValueError,
            "momentum must be .* at least 0 and at most 0.9999999999999999, got 1",
        ),
        (lambda: setattr(tv.Adam(), "rate", True), TypeError, "rate must be a number, got True"),
        (lambda: setattr(tv.SGD(), "rate", -1), ValueError, "rate must be finite and at least 0, got -1"),
        (
            lambda: tv.Adam(epsilon=1e-50).step(np.zeros(3, "float32"), np.zeros(3, "float32")),
            ValueError,
            "epsilon is 1e-50, which is 0 in float32; give at least 1.17549e-38",
        ),
        (
            lambda: tv.Adam().restore(
                {"t": 1, "m": -np.ones(1), "v": -np.ones(1), "rate": 1, "beta1": 0, "beta2": 0, "epsilon": 1}
            ),
            ValueError,
            "v must be at least 0, being a mean of squares, got -1",
        ),
        (lambda: tv.Adam(epsilon=0), ValueError, "epsilon must be finite and greater than 0, got 0"),
        (
            lambda: tv.Adam().step(np.zeros(3), np.zeros(2)),
            ValueError,
            r"grad must fit theta, float64 of shape \(3,\), got float64 of shape \(2,\)",
        ),
        (
            lambda: tv.SGD().step(np.zeros(3), np.zeros(3, "float32")),
            ValueError,
            r"grad must fit theta, float64 of shape \(3,\), got float32",
        ),
        (
            lambda: step_twice(tv.Adam(), 3, 4),
            ValueError,
            r"this Adam belongs to a theta of float64 and shape \(3,\), got float64 of shape \(4,\); make a new one",
        ),
        (
            lambda: step_twice(tv.SGD(), 3, 3, "float32"),
            ValueError,
            r"this SGD belongs to a theta of float64 .*, got float32",
        ),
    ],
}


@pytest.mark.parametrize("door, case", [(door, i) for door, cases in DOORS.items() for i in range(len(cases))])
def test_the_message_says_what_was_expected_and_what_came(door, case):
    call, error, message = DOORS[door][case]
    with pytest.raises(error, match=message) as raised:
        call()
    assert raised.type is error


@pytest.mark.parametrize("path, kind", [(None, "NoneType"), (3, "int")])
def test_load_and_save_refuse_what_is_no_path(path, kind):
    for method in (tv.VAE.load, VAE.save):
        with pytest.raises(TypeError, match=f"expected str, bytes or os.PathLike object, not {kind}"):
            method(path)


def test_save_into_a_missing_folder_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        VAE.save(tmp_path / "nowhere" / "model.npz")


MASKED = np.ma.masked_array(X, mask=X > 0.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: VAE.encode(MASKED),
        lambda: VAE.encode(np.ma.masked_array(X > 0.5)),  # nothing is masked: it may be, the next time
        lambda: tv.fit(VAE, X, validation=MASKED),
        lambda: next(tv.train(VAE, MASKED)),
        lambda: VAE.loss_and_grads(X, np.ma.masked_array(EPS, mask=EPS > 0)),
        lambda: tv.DiagonalGaussian(np.ma.masked_array(np.zeros((2, 1))), np.zeros((2, 1))),
        lambda: mlp((3, 2)).forward(np.ma.masked_array(np.zeros((2, 3)), mask=True)),
        lambda: returns(np.ma.masked_array(np.zeros((1, 5))), np.zeros((1, 5, 4))),
        lambda: tv.Target(lambda z: np.ma.masked_array(z.sum(axis=2)))(np.zeros((1, 2, 3))),
    ],
)
def test_a_masked_array_is_refused_at_every_door(call):
    with pytest.raises(TypeError, match=r"(\w+) must be a plain array, got a masked one, .* \1.filled\(value\)"):
        call()
