import copy
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.mlp import ACTIVATIONS
from tinyvae.models import NonFiniteLoss

ANALYTIC, SAMPLED = tv.ELBO(), tv.ELBO(kl="monte_carlo")


def make(n_features=5, n_latents=2, hidden=(4,), activation="tanh", dtype="float64"):
    """A small VAE whose biases are not zero, and three data points."""
    vae = tv.VAE(n_features, n_latents, hidden, activation, dtype=dtype, seed=1)
    rng = np.random.default_rng(2)
    for name, view in vae.params.items():
        if ".b" in name:
            view[:] = 0.3 * rng.standard_normal(view.shape)
    return vae, rng.random((3, n_features)).astype(dtype)


def noise(vae, x, n_samples=1, seed=3):
    return np.random.default_rng(seed).standard_normal((n_samples, len(x), vae.n_latents), dtype=vae.dtype)


# --- theta ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda vae: pickle.loads(pickle.dumps(vae))])
def test_a_copy_trains_as_the_model_does_and_alone(duplicate, digits):
    vae = tv.VAE(64, 2, hidden=(8,), seed=0)
    twin, before = duplicate(vae), vae.theta.copy()
    assert not np.shares_memory(twin.theta, vae.theta) and np.shares_memory(twin.encoder.theta, twin.theta)
    assert len(pickle.dumps(vae)) < vae.theta.nbytes + 2000  # theta is stored once
    tv.fit(twin, digits[:60], epochs=2, batch_size=30)
    np.testing.assert_array_equal(vae.theta, before)
    tv.fit(vae, digits[:60], epochs=2, batch_size=30)
    np.testing.assert_array_equal(twin.theta, vae.theta)
    np.testing.assert_array_equal(twin.encode(digits[:5]).params, vae.encode(digits[:5]).params)
    assert (vae.theta != before).any()


def test_what_is_assigned_to_theta_is_copied_in():
    (vae, x), (other, _) = make(), make()
    other.theta *= 0.5
    theta, eps = vae.theta, noise(vae, x)
    vae.theta = other.theta
    assert vae.theta is theta and not np.shares_memory(theta, other.theta)
    assert vae.loss_and_grads(x, eps)[0] == other.loss_and_grads(x, eps)[0]
    vae.encoder.theta = np.zeros(vae.n_encoder)
    assert not vae.theta[: vae.n_encoder].any() and vae.theta[vae.n_encoder :].any()


@pytest.mark.parametrize(
    "value, error, message",
    [
        (lambda theta: theta[:1], ValueError, r"theta must have shape \(\d+,\), got \(1,\)"),
        (lambda theta: 0.0, ValueError, r"theta must have shape"),
        (lambda theta: theta.astype("float32"), TypeError, "theta must be float64, got float32; convert it"),
        (lambda theta: theta * np.nan, ValueError, "theta must be finite"),
    ],
)
def test_a_theta_that_does_not_fit_is_refused_and_changes_nothing(value, error, message):
    vae, _ = make()
    before = vae.theta.copy()
    for model in (vae, vae.encoder):
        with pytest.raises(error, match=message):
            model.theta = value(model.theta)
    np.testing.assert_array_equal(vae.theta, before)


# --- the gradient ---------------------------------------------------------------------------------


def assert_gradient(vae, x, n_samples, objective, numeric_gradient):
    """Central differences of the whole loss at fixed noise, every element of theta."""
    eps = noise(vae, x, n_samples)
    _, grads = vae.loss_and_grads(x, eps, objective=objective)
    # A pre-activation within 1e-5 of a kink would show here as an error of 1e-2; the seeds avoid it.
    numeric = numeric_gradient(lambda: vae.loss_and_grads(x, eps, objective=objective)[0], vae.theta)
    assert grads.shape == vae.theta.shape
    assert np.linalg.norm(grads - numeric) < 1e-7 * np.linalg.norm(numeric)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_agrees_with_central_differences_for_each_activation(activation, numeric_gradient):
    vae, x = make(activation=activation)
    assert_gradient(vae, x, 1, ANALYTIC, numeric_gradient)


@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("kl", ["analytic", "monte_carlo"])
def test_gradient_agrees_with_central_differences_for_each_objective(kl, beta, n_samples, numeric_gradient):
    vae, x = make()
    assert_gradient(vae, x, n_samples, tv.ELBO(beta, kl), numeric_gradient)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3), (3, 4, 3)])
def test_gradient_agrees_with_central_differences_for_each_depth(hidden, numeric_gradient):
    vae, x = make(hidden=hidden)
    assert_gradient(vae, x, 2, SAMPLED, numeric_gradient)


def test_loss_is_the_formula():
    vae, x = make()
    eps = noise(vae, x, 4)
    q = vae.encode(x)
    z = q.sample(eps)
    reconstruction = -np.mean([vae.decode(z[s]).log_prob(x) for s in range(4)])
    for beta in (0.0, 1.0, 4.0):
        closed, _ = vae.loss_and_grads(x, eps, objective=tv.ELBO(beta))
        sampled, _ = vae.loss_and_grads(x, eps, objective=tv.ELBO(beta, "monte_carlo"))
        assert closed == pytest.approx(reconstruction + beta * q.kl().mean(), rel=1e-13)
        assert sampled == pytest.approx(reconstruction + beta * q.log_ratio(z).mean(), rel=1e-13)


def test_gradient_is_a_mean_over_the_batch():
    # The batch twice over, noise and all, has the same loss and the same gradient.
    vae, x = make()
    eps = noise(vae, x, 2)
    loss, grads = vae.loss_and_grads(x, eps)
    twice, twice_grads = vae.loss_and_grads(np.tile(x, (2, 1)), np.tile(eps, (1, 2, 1)))
    assert twice == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(twice_grads, grads, rtol=0, atol=1e-14 * np.abs(grads).max() * 10)


@pytest.mark.parametrize("estimator", ["reparameterization", "score_function", "leave_one_out"])
def test_gradient_is_a_mean_over_the_samples(estimator):
    # The samples twice over give the same mean, but for leave-one-out, whose baseline then holds the sample's
    # double: its f - b is (f - mean f) S / (S - 1), 3/2 for three samples and 6/5 for six.
    vae, x = make()
    eps = noise(vae, x, 3)
    _, grads = vae.loss_and_grads(x, eps, estimator)
    _, twice = vae.loss_and_grads(x, np.tile(eps, (2, 1, 1)), estimator)
    if estimator == "leave_one_out":
        kl_part = vae.loss_and_grads(
            x, eps, lambda q, f, e, o, r: tv.Draws(f(q.sample(e)), np.zeros((*e.shape[:2], 4)))
        )[1]
        twice[: vae.n_encoder] += ((twice - kl_part) * (5 / 6 * 3 / 2 - 1))[: vae.n_encoder]
    np.testing.assert_allclose(twice, grads, rtol=0, atol=1e-13 * np.abs(grads).max())


@pytest.mark.parametrize("objective", [ANALYTIC, SAMPLED, tv.ELBO(4.0)])
def test_decoders_gradient_is_the_same_under_all_estimators(objective):
    vae, x = make(dtype="float32")
    eps = noise(vae, x, 3)
    by = [
        vae.loss_and_grads(x, eps, name, objective)[1]
        for name in ("reparameterization", "score_function", "leave_one_out")
    ]
    for grads in by[1:]:
        np.testing.assert_array_equal(grads[vae.n_encoder :], by[0][vae.n_encoder :])
        assert (grads[: vae.n_encoder] != by[0][: vae.n_encoder]).any()


@pytest.mark.parametrize("objective", [ANALYTIC, SAMPLED])
@pytest.mark.parametrize("estimator", ["score_function", "leave_one_out"])
def test_encoders_gradient_has_the_expectation_of_the_reparameterizations(estimator, objective, nodes):
    # One data point, one latent: a row for each node (or pair of nodes), weighted by quadrature. A flat
    # decoder, so that the quadrature converges: with weights of order 1, tanh's poles keep it at 1e-4.
    vae, x = make(n_latents=1)
    vae.decoder.theta *= 0.25
    points, weights = nodes(30)

    def expected(name, eps, weights):
        def weighted(q, target, eps, objective, rng):
            draws = tv.estimators.make(name)(q, target, eps, objective)
            return tv.Draws(draws.f, draws.dparams * (len(weights) * weights)[:, None])

        return vae.loss_and_grads(np.tile(x[:1], (len(weights), 1)), eps, weighted, objective)[1][: vae.n_encoder]

    exact = expected("reparameterization", points.reshape(1, -1, 1), weights)
    if estimator == "leave_one_out":
        pairs = np.stack(np.meshgrid(points, points, indexing="ij")).reshape(2, -1, 1)
        found = expected(estimator, pairs, np.outer(weights, weights).ravel())
    else:
        found = expected(estimator, points.reshape(1, -1, 1), weights)
    assert np.linalg.norm(found - exact) < 1e-12 * np.linalg.norm(exact)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32", "float64"])
def test_bits_of_any_type_give_the_same_gradient(dtype):
    vae, x = make(dtype="float32")
    bits = x > 0.5
    eps = noise(vae, x)
    loss, grads = vae.loss_and_grads(bits.astype("float32"), eps)
    same, same_grads = vae.loss_and_grads(bits.astype(dtype), eps)
    assert same == loss
    np.testing.assert_array_equal(same_grads, grads)


@pytest.mark.parametrize("estimator", ["reparameterization", "score_function", "leave_one_out"])
def test_float32_gives_the_gradient_of_float64(estimator):
    single, x32 = make(dtype="float32")
    double, _ = make(dtype="float64")
    double.theta[:] = single.theta
    eps = noise(single, x32, 2)
    loss32, grads32 = single.loss_and_grads(x32, eps, estimator)
    loss, grads = double.loss_and_grads(x32.astype("float64"), eps.astype("float64"), estimator)
    assert grads32.dtype == np.float32 and isinstance(loss32, float)
    assert loss32 == pytest.approx(loss, rel=1e-5)
    assert np.linalg.norm(grads32 - grads) < 1e-5 * np.linalg.norm(grads)


def test_loss_and_grads_leaves_its_arguments():
    vae, x = make()
    eps = noise(vae, x, 2)
    before = x.copy(), eps.copy(), vae.theta.copy()

    def writing(q, target, eps, objective, rng):
        draws = tv.estimators.leave_one_out(q, target, eps, objective)
        eps *= -1
        q.params *= 3
        return draws

    found = vae.loss_and_grads(x, eps, "leave_one_out", tv.ELBO())
    of_writing = vae.loss_and_grads(x, eps, writing, tv.ELBO())
    for array, old in zip((x, eps, vae.theta, *of_writing), (*before, *found)):
        np.testing.assert_array_equal(array, old)


def test_a_function_is_an_estimator():
    vae, x = make()
    eps = noise(vae, x)
    seen = {}

    def mine(q, target, eps, objective, rng):
        seen.update(q=q, target=target, eps=eps, objective=objective, rng=rng)
        return tv.estimators.reparameterization(q, target, eps, objective, rng)

    rng = np.random.default_rng(0)
    loss, grads = vae.loss_and_grads(x, eps, mine, SAMPLED, rng)
    expected, expected_grads = vae.loss_and_grads(x, eps, "reparameterization", SAMPLED)
    assert loss == expected and seen["objective"] is SAMPLED and seen["rng"] is rng
    np.testing.assert_array_equal(grads, expected_grads)
    np.testing.assert_array_equal(seen["q"].params, vae.encode(x).params)


@pytest.mark.parametrize("in_place", [False, True])
def test_the_target_answers_for_the_z_that_it_is_asked_about(in_place):
    # An estimator may ask twice, and may write into its own z between.
    vae, x = make()

    def mine(q, target, eps, objective, rng):
        z = q.sample(eps)
        for _ in range(3):
            z = z if in_place else z.copy()
            z += 1
            f = target(z)
            for s in range(len(z)):
                np.testing.assert_allclose(f[s], -vae.decode(z[s]).log_prob(x), rtol=1e-12)
        return tv.Draws(f, np.zeros((*z.shape[:2], 4)))

    vae.loss_and_grads(x, noise(vae, x, 2), mine)


def test_what_an_estimator_writes_into_f_does_not_reach_the_target():
    vae, x = make()

    def mine(q, target, eps, objective, rng):
        z = q.sample(eps)
        f = target(z)
        before = f.copy()
        f -= 100
        np.testing.assert_array_equal(target(z), before)
        return tv.estimators.reparameterization(q, target, eps, objective, rng)

    eps = noise(vae, x)
    assert vae.loss_and_grads(x, eps, mine)[0] == vae.loss_and_grads(x, eps)[0]


@pytest.mark.parametrize("part, term", [("encoder.b1", "KL"), ("decoder.b1", "reconstruction")])
def test_a_term_that_is_not_finite_is_named(part, term):
    vae, x = make()
    vae.params[part][:] = np.inf
    with np.errstate(all="ignore"), pytest.raises(NonFiniteLoss, match=f"the {term} term became (inf|nan)"):
        vae.loss_and_grads(x, noise(vae, x))


# --- using the model ------------------------------------------------------------------------------


def test_params_are_views_of_theta_the_encoders_first():
    vae = tv.VAE(5, 2, (4, 3))
    shapes = {name: view.shape for name, view in vae.params.items()}
    assert shapes == {
        "encoder.W0": (5, 4), "encoder.b0": (4,), "encoder.W1": (4, 3), "encoder.b1": (3,),
        "encoder.W2": (3, 4), "encoder.b2": (4,),
        "decoder.W0": (2, 3), "decoder.b0": (3,), "decoder.W1": (3, 4), "decoder.b1": (4,),
        "decoder.W2": (4, 5), "decoder.b2": (5,),
    }  # fmt: skip
    vae.theta[:] = np.arange(len(vae.theta))
    np.testing.assert_array_equal(np.concatenate([view.ravel() for view in vae.params.values()]), vae.theta)
    vae.params["decoder.b2"][:] = -1
    assert (vae.theta[-5:] == -1).all() and (vae.decoder.theta[-5:] == -1).all()


def test_the_seed_fixes_the_initial_weights():
    assert (tv.VAE(5, 2, seed=4).theta == tv.VAE(5, 2, seed=4).theta).all()
    assert (tv.VAE(5, 2, seed=4).theta != tv.VAE(5, 2, seed=5).theta).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_encode_decode_sample_and_reconstruct_have_their_shapes_and_dtype(dtype):
    vae, x = make(dtype=dtype)
    q = vae.encode(x)
    assert q.mu.shape == q.logvar.shape == (3, 2)
    p = vae.decode(np.zeros((7, 2), dtype))
    assert p.mean.shape == (7, 5) and p.log_prob(np.ones((7, 5), bool)).shape == (7,)
    samples = vae.sample(6, np.random.default_rng(0))
    assert samples.shape == (6, 5) and 0 < samples.min() and samples.max() < 1
    assert q.params.dtype == p.mean.dtype == samples.dtype == vae.reconstruct(x).dtype == dtype
    np.testing.assert_array_equal(samples, vae.sample(6, np.random.default_rng(0)))
    np.testing.assert_array_equal(vae.reconstruct(x), vae.decode(np.ascontiguousarray(q.mu)).mean)
    assert vae.sample(0, np.random.default_rng(0)).shape == (0, 5)


def test_encoders_output_is_mu_then_logvar():
    vae, x = make()
    y, _ = vae.encoder.forward(x)
    np.testing.assert_array_equal(vae.encode(x).mu, y[:, :2])
    np.testing.assert_array_equal(vae.encode(x).logvar, y[:, 2:])


# --- save and load --------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    vae, _ = make(hidden=(4, 3), activation="gelu", dtype="float32")
    path = tmp_path / "model.npz"
    vae.save(path)
    return vae, path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [(), (4, 3)])
def test_load_gives_back_what_was_saved(dtype, hidden, tmp_path):
    vae, x = make(hidden=hidden, activation="elu", dtype=dtype)
    for path in (tmp_path / "model.npz", str(tmp_path / "any name")):
        vae.save(path)
        again = tv.VAE.load(path)
        for name in ("n_features", "n_latents", "hidden", "activation", "likelihood", "dtype"):
            assert getattr(again, name) == getattr(vae, name)
        np.testing.assert_array_equal(again.theta, vae.theta)
        np.testing.assert_array_equal(again.reconstruct(x), vae.reconstruct(x))
    assert sorted(os.listdir(tmp_path)) == ["any name", "model.npz"]


def test_a_loaded_model_trains_on(saved):
    again = tv.VAE.load(saved[1])
    before = again.theta.copy()
    next(tv.train(again, np.full((3, 5), 0.5)))
    assert (again.theta != before).any() and (
        again.theta == np.concatenate([again.encoder.theta, again.decoder.theta])
    ).all()


def test_a_fresh_process_loads_it(saved):
    vae, path = saved
    script = "import sys, tinyvae as tv; print(float(tv.VAE.load(sys.argv[1]).theta.astype('float64').sum()))"
    environment = os.environ | {"PYTHONPATH": str(Path(tv.__file__).parents[1]), "TINYVAE_NUMPY": "1"}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == float(vae.theta.astype("float64").sum())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full"), MemoryError])
@pytest.mark.parametrize("where", ["savez", "fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(where, error, saved, monkeypatch):
    vae, path = saved
    before = path.read_bytes()

    def savez(file, **arrays):
        file.write(b"half a file")
        raise error

    def fails(*arguments):
        raise error

    monkeypatch.setattr(np, "savez", savez) if where == "savez" else monkeypatch.setattr(os, where, fails)
    with pytest.raises(type(error) if isinstance(error, BaseException) else error):
        vae.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["model.npz"]


def test_the_file_is_whole_before_it_takes_the_name(saved, monkeypatch):
    # What a kill at any instant would leave: the old file up to os.replace, the new one after.
    vae, path = saved
    old = path.read_bytes()
    vae.theta[:] = 0
    replace, seen = os.replace, []

    def spy(temporary, final):
        seen.append(path.read_bytes() == old)
        seen.append((tv.VAE.load(temporary).theta == 0).all())
        replace(temporary, final)

    monkeypatch.setattr(os, "replace", spy)
    vae.save(path)
    assert seen == [True, True] and (tv.VAE.load(path).theta == 0).all()


def test_a_saved_file_has_the_permissions_of_any_new_file(saved):
    _, path = saved
    plain = path.parent / "plain"
    plain.write_text("")
    assert path.stat().st_mode == plain.stat().st_mode


def npy(array):
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def rewritten(path, theta=None, **changes):
    """The saved file with another theta or other settings."""
    with np.load(path) as file:
        config, old = json.loads(str(file["config"])), file["theta"]
    npz(path, config=np.array(json.dumps({**config, **changes})), theta=old if theta is None else theta(old))


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"P"),
    "truncated to 1/4": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 4]),
    "truncated to 3/4": lambda path: path.write_bytes(path.read_bytes()[: 3 * path.stat().st_size // 4]),
    "the last byte missing": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(1000)),
    "text": lambda path: path.write_text("weights"),
    "another npz": lambda path: npz(path, weights=np.zeros(3)),
    "an array": lambda path: path.write_bytes(npy(np.zeros(3))),
    "pickled objects": lambda path: npz(path, config=np.array([{}], dtype=object), theta=np.array([{}], dtype=object)),
    "config no json": lambda path: npz(path, config=np.array("{"), theta=np.zeros(3)),
    "config a list": lambda path: npz(path, config=np.array("[1]"), theta=np.zeros(3)),
    "another format": lambda path: rewritten(path, format="tinyvae.VAE 99"),
    "an unknown setting": lambda path: rewritten(path, colour="red"),
    "an unknown activation": lambda path: rewritten(path, activation="swish"),
    "sizes that do not fit": lambda path: rewritten(path, n_features=6),
    "theta too short": lambda path: rewritten(path, lambda theta: theta[:-1]),
    "theta a matrix": lambda path: rewritten(path, lambda theta: theta[None]),
    "theta of another dtype": lambda path: rewritten(path, lambda theta: theta.astype("float64")),
    "theta NaN": lambda path: rewritten(path, lambda theta: theta * np.nan),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_file_is_named(damage, saved):
    _, path = saved
    DAMAGE[damage](path)
    with pytest.raises(ValueError, match="model.npz is damaged or is not a model that tinyvae saved: ."):
        tv.VAE.load(path)


def test_any_changed_byte_is_noticed_or_harmless(saved):
    # A flip in the archive's dates and the like changes nothing; any other is a ValueError. Every third byte.
    vae, path = saved
    whole = path.read_bytes()
    noticed = 0
    for i in range(0, len(whole), 3):
        for flip in (0x01, 0x80):
            path.write_bytes(whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :])
            try:
                np.testing.assert_array_equal(tv.VAE.load(path).theta, vae.theta)
            except ValueError as error:
                assert "is damaged or is not a model" in str(error)
                noticed += 1
    assert noticed > len(whole) / 3


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.npz"):
        tv.VAE.load(tmp_path / "nothing.npz")


def test_a_model_whose_sizes_are_numpy_s_integers_is_saved(tmp_path):
    vae = tv.VAE(np.prod((2, 3)), np.arange(2, 3)[0], (4,))
    vae.save(tmp_path / "model.npz")
    assert tv.VAE.load(tmp_path / "model.npz").config == vae.config


def test_what_inherits_its_name_is_refused_for_it_would_be_loaded_as_the_other():
    cases = {
        "likelihood": type("Mine", (tv.Bernoulli,), {}),
        "latents": type("Mine", (tv.DiagonalGaussian,), {}),
        "prior": type("Mine", (tv.distributions.StandardNormal,), {})(),
    }
    for argument, one in cases.items():
        with pytest.raises(ValueError, match=f"{argument} must have a name of its own.*such as name = 'my_{one.name}'"):
            tv.VAE(4, 2, (3,), **{argument: one})
    cases["likelihood"].name = "mine"
    assert tv.VAE(4, 2, (3,), likelihood=cases["likelihood"]).config["likelihood"] == "mine"


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path):
    vae = tv.VAE(4, 2, (3,))
    vae.save(tmp_path / "model.npz")
    vae.theta[3] = np.inf
    with pytest.raises(ValueError, match="theta must be finite, got inf at index"):
        vae.save(tmp_path / "model.npz")
    assert np.isfinite(tv.VAE.load(tmp_path / "model.npz").theta).all()
