"""Two layers of bits: gradient and estimators against enumeration, training, files, likelihood, and what is refused."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import scipy.special

import tinyvae as tv
from tinyvae.estimators.layers import PerLayer
from tinyvae.machine.arena import Arena
from tinyvae.models.two_layer_step import LowerTarget, UpperLayer, step

OBJECTIVES = {
    "closed": tv.ELBO(),
    "sampled": tv.ELBO(kl="monte_carlo"),
    "beta 0.7": tv.ELBO(beta=0.7),
    "beta 0.7, sampled": tv.ELBO(beta=0.7, kl="monte_carlo"),
}
NAMES = tv.estimators.names("average", q=tv.Binary(np.zeros((1, 1))))
BIASED = [name for name in NAMES if tv.estimators.ESTIMATORS[name].traits.biased]
BY_PATH = ["rebar", "relax"]  # whose mean over the noise is no sum over states


def make(**options):
    """A model of 4 pixels, 3 and 2 bits in float64, all of its parameters away from where they start."""
    arguments = {"hidden": (3,), "dtype": "float64", "prior": "learnt_bits", "seed": 1, **options}
    model = tv.TwoLayerVAE(4, 3, 2, **arguments)
    model.theta += 0.5 * np.random.default_rng(2).standard_normal(model.theta.shape)
    return model


def on_a_lattice():
    """A linear model of 2 and 1 bits, every probability of q a multiple of 1/4 for the data point (1, 0, 1).

    Then a lattice of noise, one point in each quarter, has the mean over all noise, of what is linear in it between.
    """
    model = tv.TwoLayerVAE(3, 2, 1, hidden=(), dtype="float64", prior="learnt_bits", seed=3)
    model.theta += 0.8 * np.random.default_rng(4).standard_normal(model.theta.shape)
    three_to_one, params, x = np.log(3), model.params, np.array([[1.0, 0.0, 1.0]])
    params["encoder.b0"][:] = np.array([three_to_one, 0]) - (x @ params["encoder.W0"])[0]
    params["upper_encoder.W0"][:], params["upper_encoder.b0"][:] = three_to_one, -three_to_one
    np.testing.assert_allclose(model.encode(x).lower.probs, [[0.75, 0.5]])
    return model, x


def lattice(n_numbers, n_samples):
    axes = [(np.arange(4) + 0.5) / 4] * (n_numbers * n_samples)
    eps = np.stack([one.ravel() for one in np.meshgrid(*axes, indexing="ij")], axis=1)
    return np.ascontiguousarray(eps.reshape(-1, n_samples, n_numbers).transpose(1, 0, 2))


def states(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def network(params, name, z):
    """A network's output, by its named weights."""
    layers = sum(key.startswith(f"{name}.W") for key in params)
    for layer in range(layers):
        z = z @ params[f"{name}.W{layer}"] + params[f"{name}.b{layer}"]
        z = np.tanh(z) if layer < layers - 1 else z
    return z


def log_bits(logits, z):
    return -(np.logaddexp(0, logits) - z * logits).sum(axis=-1)


def terms(model, x):
    """log q(z1, z2 | x), log p(x | z1) and log p(z1, z2) of all states, (2^K1, 2^K2) each, of one data point x (D,)."""
    p, z1, z2 = model.params, states(model.n_latents), states(model.n_upper)
    log_q1 = log_bits(network(p, "encoder", x), z1)[:, None]
    log_q2 = log_bits(network(p, "upper_encoder", z1)[:, None], z2)
    log_x = log_bits(network(p, "decoder", z1), x)[:, None]
    log_z1 = log_bits(network(p, "upper_decoder", z2), z1[:, None])
    return log_q1 + log_q2, log_x + 0 * log_z1, log_z1 + log_bits(np.asarray(model.prior.logits), z2)


def loss_by_states(model, x, beta=1.0):
    """The loss, in a few lines of NumPy that share nothing with the model but its weights."""
    each = [np.sum(np.exp(q) * (beta * (q - z) - log_x)) for q, log_x, z in (terms(model, one) for one in x)]
    return np.mean(each)


@pytest.fixture
def x():
    return np.array([[1.0, 0, 1, 1], [0, 0, 1, 0]])


# --- gradients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)])
def test_the_exact_gradient_is_the_slope_of_the_sum_over_states(hidden, x, numeric_gradient):
    model = make(hidden=hidden)
    loss, grads = model.exact_loss_and_grads(x, tv.ELBO(beta=0.7))
    assert loss == pytest.approx(loss_by_states(model, x, 0.7), rel=1e-12)
    numeric = numeric_gradient(lambda: loss_by_states(model, x, 0.7), model.theta)
    np.testing.assert_allclose(grads, numeric, atol=1e-9)
    assert all(view.any() for view in model.views(grads).values())


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*BIASED, *BY_PATH)])
def test_an_estimators_mean_over_all_noise_is_the_exact_gradient(name, objective):
    (model, x), objective = on_a_lattice(), OBJECTIVES[objective]
    eps = lattice(3, tv.estimators.ESTIMATORS[name].traits.samples)
    loss, grads = model.exact_loss_and_grads(x, objective)
    mean_loss, mean = model.loss_and_grads(np.repeat(x, eps.shape[1], axis=0), eps, name, objective)
    assert mean_loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(mean, grads, atol=1e-12)


@pytest.mark.parametrize("objective", ["closed", "beta 0.7, sampled"])
def test_a_layer_each_and_two_samples(objective):
    """The lower layer's draws meet all of the upper noise: the mean stays, for any pair."""
    (model, x), objective = on_a_lattice(), OBJECTIVES[objective]
    eps = lattice(3, 2)
    _, grads = model.exact_loss_and_grads(x, objective)
    for pair in [("muprop", "leave_one_out"), ("leave_one_out", "arm")]:
        _, mean = model.loss_and_grads(np.repeat(x, eps.shape[1], axis=0), eps, pair, objective)
        np.testing.assert_allclose(mean, grads, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_decoders_gradient_and_the_priors_are_the_same_under_all(name):
    """But for the relaxation, which trains the decoders at the relaxed samples."""
    model, x = on_a_lattice()
    eps = lattice(3, 2)[:, ::7]
    found, plain = (
        model.views(model.loss_and_grads(np.repeat(x, eps.shape[1], axis=0), eps, one)[1])
        for one in (name, "score_function")
    )
    same = all(np.array_equal(found[part], plain[part]) for part in found if "encoder" not in part)
    assert same == (name != "gumbel_softmax")


@pytest.mark.parametrize("upper", ["leave_one_out", "disarm", "muprop", "rebar"])
@pytest.mark.parametrize("objective", ["closed", "beta 0.7, sampled"])
def test_the_lower_targets_slope_is_that_of_its_mean(objective, upper, numeric_gradient):
    """At a place between the states; the mean over z2 by enumeration, which is smooth in z1."""
    model, n, objective = make(), 4000, OBJECTIVES[objective]
    x, z = np.array([[1.0, 0, 1, 1]]), np.array([0.2, 0.9, 0.6])
    pair = model.resolve(("muprop", upper))
    weight = float(objective.kl_weights(model.encode(x).lower)) + objective.sampled_kl

    def mean():
        p, z2 = model.params, states(2)
        log_q2 = log_bits(network(p, "upper_encoder", z), z2)
        rest = log_q2 - log_bits(network(p, "upper_decoder", z2), z) - log_bits(np.asarray(model.prior.logits), z2)
        above = np.sum(np.exp(log_q2) * rest) - 3 * np.log(2)
        return weight * above - log_bits(network(p, "decoder", z), x[0])

    eps2 = model.noise(np.random.default_rng(5), 2, n)[..., 3:].copy()
    target = LowerTarget(model, np.repeat(x, n, axis=0), eps2, pair, objective, None)
    points = np.repeat(z[None, None], n, axis=1)
    for found, exact in ((target(points)[0][:, None], mean()), (target.grad(points)[0], numeric_gradient(mean, z))):
        error = found.std(axis=0, ddof=1) / np.sqrt(n)
        assert (np.abs(found.mean(axis=0) - exact) < 4.5 * error + 1e-9).all()


@pytest.mark.parametrize("name", BY_PATH)
def test_what_draws_on_slopes_is_unbiased(name, x):
    model, n = make(hidden=()), 1000
    grads = model.exact_loss_and_grads(x)[1][: model.n_encoder]
    one = tv.estimators.make(name, **({"temperature": 0.5} if name == "relax" else {}))
    pair, many = PerLayer(one, copy.deepcopy(one)), []
    for seed in range(16):
        eps = model.noise(np.random.default_rng([6, seed]), 1, 2 * n)
        many.append(model.loss_and_grads(np.repeat(x, n, axis=0), eps, pair)[1][: model.n_encoder])
    error = np.std(many, axis=0, ddof=1) / 4
    # Student's t of 15 degrees, 15 numbers; a pixel that is 0 in all data has a slope of 0.
    assert (np.abs(np.mean(many, axis=0) - grads) <= 5.5 * error).all() and error.max() < 0.02


@pytest.mark.parametrize("name", ["straight_through", "gumbel_softmax"])
def test_the_biased_ones_are_convicted(name, x):
    model = make()
    eps = model.noise(np.random.default_rng(7), 1, 4000)
    grads = model.loss_and_grads(np.repeat(x, 2000, axis=0), eps, name)[1]
    off = model.views(grads - model.exact_loss_and_grads(x)[1])
    assert max(np.abs(view).max() for part, view in off.items() if "encoder" in part) > 0.03


def test_a_relaxed_step_is_the_slope_of_the_relaxed_loss(x, numeric_gradient):
    """Both layers relaxed: the surrogate is smooth in everything, and one draw's gradient is its slope."""
    model, temperature = make(), 0.7
    eps = model.noise(np.random.default_rng(8), 1, 2)
    one = tv.estimators.make("gumbel_softmax", temperature=temperature)
    grads = model.loss_and_grads(x, eps, one)[1]
    noise = np.log(eps[0]) - np.log1p(-eps[0])

    def surrogate():
        p = model.params
        logits1 = network(p, "encoder", x)
        y1 = scipy.special.expit((logits1 + noise[:, :3]) / temperature)
        logits2 = network(p, "upper_encoder", y1)
        y2 = scipy.special.expit((logits2 + noise[:, 3:]) / temperature)
        kl1 = tv.Binary(logits1).kl()
        kl2 = tv.Binary(logits2, model.prior).kl()
        cost = -log_bits(network(p, "decoder", y1), x) - log_bits(network(p, "upper_decoder", y2), y1)
        return float((cost + kl1 + kl2).mean())

    np.testing.assert_allclose(grads, numeric_gradient(surrogate, model.theta), atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_in_used_arrays_is_the_same(name):
    model = tv.TwoLayerVAE(20, 6, 5, hidden=(7,), prior="learnt_bits")
    x = (np.random.default_rng(0).random((9, 20)) < 0.5).astype("uint8")
    arena, found = Arena(), []
    other = model.using(arena)
    for seed in (1, 2, 1):  # the third in arrays that hold the second's numbers
        arena.rewind()
        eps, grads = model.noise(np.random.default_rng(seed), 2, 9), np.full_like(model.theta, np.nan)
        done = step(other, x, eps, model.resolve(name), tv.ELBO(), None, grads)
        found.append((done, grads))
    loss, grads = model.loss_and_grads(x, eps, name)
    assert found[0][0] == found[2][0] and found[2][0].loss == loss
    assert np.array_equal(found[0][1], found[2][1]) and np.array_equal(found[2][1], grads)
    assert np.isfinite(grads).all() and not np.array_equal(found[1][1], grads)
    assert done.loss == pytest.approx(done.reconstruction + done.kl, rel=1e-5)


# --- what it is used for --------------------------------------------------------------------------------------


def test_bound_and_likelihood_are_those_of_the_sum_over_states(x):
    model = make()
    exact = [scipy.special.logsumexp(log_x + z) for _, log_x, z in (terms(model, one) for one in x)]
    found = model.log_likelihood(x, n_samples=5000, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found, exact, atol=0.05)
    one = model.log_likelihood(np.repeat(x, 2000, axis=0), n_samples=1, rng=np.random.default_rng(1))
    assert -one.mean() == pytest.approx(loss_by_states(model, x), abs=5 * one.std() / np.sqrt(4000))  # S = 1: the bound
    bound = tv.evaluate.bound(model, x, n_samples=5000)
    assert bound.loss == pytest.approx(loss_by_states(model, x), abs=0.04)
    assert bound.loss == pytest.approx(bound.reconstruction + bound.kl)
    assert model.held_out(x) == tv.evaluate.bound(model, x)


def test_draws_of_both_layers_have_the_probabilities_of_q():
    model, x, n = make(), np.array([[1.0, 0, 1, 1]]), 20_000
    model.params["upper_encoder.W0"][:] *= 3  # so that z2 depends on z1
    q = model.encode(x)
    z = q.sample(q.noise(np.random.default_rng(9), n))[:, 0]
    found = np.bincount((z @ 2.0 ** np.arange(5)[::-1]).astype(int), minlength=32) / n
    p = np.exp(terms(model, x[0])[0]).ravel()
    assert p.sum() == pytest.approx(1) and (np.abs(found - p) < 4.5 * np.sqrt(p * (1 - p) / n)).all()


def test_samples_have_the_models_mean():
    model = make(hidden=())
    found = model.sample(5000, np.random.default_rng(0))
    z1, z2 = states(3), states(2)
    p_z = np.exp(terms(model, np.zeros(4))[2])  # 2^3, 2^2
    mean = (p_z.sum(axis=1)[:, None] * scipy.special.expit(network(model.params, "decoder", z1))).sum(axis=0)
    assert (np.abs(found.mean(axis=0) - mean) < 4.5 * found.std(axis=0) / np.sqrt(len(found))).all()
    assert p_z.shape == (len(z1), len(z2)) and p_z.sum() == pytest.approx(1)


def test_reconstructions_are_decoded_from_the_mean(x):
    model = make()
    mean = model.encode(x).lower.mean
    np.testing.assert_array_equal(model.reconstruct(x), model.decode(mean).mean)
    assert model.encode(x).upper(np.round(mean)).params.shape == (2, 2)


@pytest.mark.parametrize("estimator", ["leave_one_out", "disarm", "rebar", ("rebar", "input_dependent")])
def test_it_trains(estimator, digits):
    bits = (digits > 0.5).astype("uint8")
    model = tv.TwoLayerVAE(64, 10, 6, hidden=(20,), prior="learnt_bits")
    model.start_at(bits)
    before = model.held_out(bits).loss
    history = tv.fit(model, bits, validation=bits[:100], epochs=2, estimator=estimator, n_samples=2,
                     optimizer=tv.Adam(3e-3))  # fmt: skip
    assert model.held_out(bits).loss < before - 0.5
    assert len(history.validation) == 2 and np.isfinite(history.records[-1].loss)


@pytest.mark.parametrize("estimator", ["arm", "rebar", ("rebar", "moving_average"), ("disarm", "relax")])
def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(estimator, tmp_path, digits):
    bits, options = (digits[:200] > 0.5).astype("uint8"), {"estimator": estimator, "batch_size": 50}
    whole, part = (tv.TwoLayerVAE(64, 5, 4, hidden=(8,), prior="learnt_bits") for _ in range(2))
    tv.fit(whole, bits, epochs=3, **options)
    tv.fit(part, bits, epochs=1, checkpoint=tmp_path / "run.npz", **options)
    again = tv.TwoLayerVAE(64, 5, 4, hidden=(8,), prior="learnt_bits")
    tv.fit(again, bits, epochs=3, checkpoint=tmp_path / "run.npz", **options)
    assert np.array_equal(again.theta, whole.theta)
    with pytest.raises(ValueError, match="estimator is"):
        tv.fit(again, bits, epochs=3, checkpoint=tmp_path / "run.npz", batch_size=50, estimator="score_function")
    loaded = tv.TwoLayerVAE.load(tmp_path / "run.npz")
    assert np.array_equal(loaded.theta, whole.theta) and loaded.config == whole.config


def test_a_file_a_copy_and_a_pickle_are_the_model(tmp_path, x):
    model = make()
    model.image_shape = 2, 2
    model.save(tmp_path / "model.npz")
    assert tv.models.kind_of(tmp_path / "model.npz") == "TwoLayerVAE"
    for other in (tv.TwoLayerVAE.load(tmp_path / "model.npz"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.exact_loss_and_grads(x)[0] == model.exact_loss_and_grads(x)[0]
        assert other.image_shape == (2, 2)
        other.theta = np.zeros_like(other.theta)  # its networks are views into its own theta
        assert not other.upper_encoder.theta.any() and not other.prior.logits.any()
        assert not other.params["upper_decoder.W0"].any() and model.upper_decoder.theta.all()
    with pytest.raises(ValueError, match="holds a tv.TwoLayerVAE, where a tv.VAE is asked for; tv.TwoLayerVAE.load"):
        tv.VAE.load(tmp_path / "model.npz")


def test_all_lower_samples_of_a_data_point_meet_its_upper_noise():
    model, rng = make(), np.random.default_rng(10)
    z, eps2 = (rng.random((3, 2, 3)) < 0.5).astype(float), rng.random((4, 2, 2))
    above = UpperLayer(model, z, eps2, tv.ELBO())
    for s, b in itertools.product(range(3), range(2)):
        np.testing.assert_array_equal(above.rows[2 * s + b], z[s, b])
        np.testing.assert_array_equal(above.eps[:, 2 * s + b], eps2[:, b])


@pytest.mark.parametrize("lower", ["muprop", "rebar"])
def test_the_upper_layer_learns_from_its_own_call_and_not_from_slopes(lower, x):
    model, found = make(), []
    eps = model.noise(np.random.default_rng(11), 1, 2)
    for name in (lower, "score_function"):  # which asks for no slope
        pair = model.resolve((name, "moving_average"))
        model.loss_and_grads(x, eps, pair)
        pair.update()
        found.append(pair.parts[1].average)
    assert found[0] == found[1]


def test_what_learns_learns_for_one_layer(x):
    model, one = make(), tv.estimators.make("moving_average")
    pair = model.resolve(one)
    lower, upper = pair.parts
    assert lower is one and upper is not one and model.resolve(pair) is pair
    model.loss_and_grads(x, model.noise(np.random.default_rng(0), 1, 2), pair)
    pair.update()
    assert lower.average is not None and upper.average is not None and lower.average != upper.average
    other = model.resolve("moving_average")
    other.restore(pair.state())
    assert [part.average for part in other.parts] == [lower.average, upper.average]
    assert not hasattr(model.resolve("arm"), "update")
    with pytest.raises(ValueError, match="has learnt with another model"):
        list(tv.train(model, x, one, epochs=1))
        list(tv.train(make(), x, one, epochs=1))


# --- what it refuses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"n_upper": 0}, ValueError, "n_upper must be"),
        ({"n_upper": 2.5}, TypeError, "n_upper must be"),
        ({"prior": "learnt_normal"}, TypeError, "does not fit latents of 'binary'"),
        ({"hidden": (0,)}, ValueError, "hidden"),
        ({"likelihood": "poisson"}, ValueError, "likelihood"),
    ],
)
def test_a_model_that_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        tv.TwoLayerVAE(**{"n_features": 4, "n_latents": 3, "n_upper": 2, **arguments})


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"objective": tv.ImportanceWeighted()}, ValueError, "an average over samples and has one weight"),
        ({"objective": tv.FreeBits(0.1)}, ValueError, "an average over samples and has one weight"),
        ({"estimator": "vimco"}, ValueError, "importance-weighted bound"),
        ({"estimator": "leave_one_out"}, ValueError, "needs n_samples of at least 2"),
        ({"estimator": ("arm", "arm", "arm")}, ValueError, "or a pair"),
        ({"estimator": ("arm", 3)}, TypeError, "must be a name or a function"),
        ({"estimator": "reparameterization"}, ValueError, "needs q.path, which a Binary does not have"),
        ({"noise": "antithetic", "n_samples": 2, "estimator": "leave_one_out"}, ValueError, "must be independent"),
    ],
)
def test_a_run_that_cannot_be(options, error, message, x):
    with pytest.raises(error, match=message):
        list(tv.train(make(), x, **{"estimator": "arm", "epochs": 1, **options}))


def test_bad_input_is_told(x):
    model = make()
    with pytest.raises(ValueError, match=r"eps must"):
        model.loss_and_grads(x, np.full((1, 2, 3), 0.5))
    with pytest.raises(ValueError, match="at most 12 bits in both layers, got 13"):
        tv.TwoLayerVAE(4, 7, 6).exact_loss_and_grads(x.astype("float32"))
    for task in (
        lambda: tv.evaluate.impute(model, x, 1, np.random.default_rng(0)),
        lambda: tv.evaluate.gaps(model, x, 9, np.random.default_rng(0)),
        lambda: tv.variance.measure(model, x),
    ):
        with pytest.raises(TypeError, match="with one layer whose latents are drawn, such as tv.VAE, got TwoLayerVAE"):
            task()
    model.params["upper_decoder.b0"][:] = np.nan
    with pytest.raises(tv.NonFiniteLoss, match="p\\(z1 | z2\\)"):
        model.loss_and_grads(x, model.noise(np.random.default_rng(0), 1, 2), "arm")
