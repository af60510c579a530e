"""How a training ends: what `fit` notices, and what it leaves where an error ends it."""

import numpy as np
import pytest

import tinyvae as tv


class Runaway:
    """An optimiser whose update at one step leaves a parameter that is not finite, unseen by the gradient."""

    def __init__(self, last):
        self.steps, self.last = 0, last

    def step(self, theta, grad):
        self.steps += 1
        theta -= 1e-3 * grad
        if self.steps == self.last:
            theta[-1] = np.inf

    def state(self):
        return {"steps": np.array(self.steps)}

    def restore(self, state):
        self.steps = int(state.get("steps", 0))

    def __repr__(self):
        return f"Runaway({self.last})"


@pytest.mark.parametrize("stream", [False, True])
def test_parameters_that_are_not_finite_after_the_last_step_are_an_error(stream, digits, tmp_path):
    vae, options = tv.VAE(64, 2, (8,), seed=0), dict(epochs=2, batch_size=250, optimizer=Runaway(4))
    with pytest.raises(tv.NonFiniteLoss, match="step 4: the update left parameters that are not finite"):
        list(tv.train(vae, digits, **options)) if stream else tv.fit(
            vae, digits, checkpoint=tmp_path / "run.npz", **options
        )
    if not stream:  # the last whole epoch stays
        assert np.isfinite(tv.VAE.load(tmp_path / "run.npz").theta).all()


def test_a_history_that_is_given_is_filled_whatever_ends_the_run(digits, tmp_path):
    def fails(epoch):
        if epoch == 2:
            raise KeyError("k")

    history, options = tv.History(), dict(epochs=3, batch_size=250, checkpoint=tmp_path / "run.npz")
    with pytest.raises(KeyError):
        tv.fit(tv.VAE(64, 2, (8,), seed=0), digits, after_epoch=fails, history=history, **options)
    assert len(history.records) == 4
    with pytest.raises(ValueError, match="history must be an empty tv.History.., got one of 4 steps"):
        tv.fit(tv.VAE(64, 2, (8,), seed=0), digits, history=history, **options)
    again = tv.History()
    assert tv.fit(tv.VAE(64, 2, (8,), seed=0), digits, history=again, **options) is again
    assert len(again.records) == 6


@pytest.mark.parametrize(
    "objective, weight, validated",
    [
        (tv.ELBO(), 1, ", validation "),
        (tv.ELBO(2.5), 2.5, ", negative ELBO on validation "),
        (tv.ELBO(1.0, "monte_carlo"), None, ", validation "),
        (tv.ImportanceWeighted(), None, ", negative ELBO on validation "),
    ],
)
def test_the_line_of_an_epoch_is_true_of_its_numbers(objective, weight, validated, digits, capsys):
    history = tv.fit(
        tv.VAE(64, 2, (8,), seed=0), digits, digits, epochs=1, batch_size=500, objective=objective, n_samples=3
    )
    line, (record,) = capsys.readouterr().err.strip(), history.records
    assert validated in line and (" = " in line) == (weight is not None)
    if weight is None:
        assert f"loss {record.loss:.2f}; cross-entropy {record.reconstruction:.2f}, KL {record.kl:.2f}, " in line
    else:
        assert f" + {'2.5 x ' * (weight != 1)}KL " in line
        assert record.loss == pytest.approx(record.reconstruction + weight * record.kl, rel=1e-6)


def test_a_checkpoint_that_cannot_be_written_is_told_before_the_first_step(digits, tmp_path):
    history = tv.History()
    with pytest.raises(FileNotFoundError, match="run.npz"):
        tv.fit(tv.VAE(64, 2, (8,)), digits[:50], epochs=2, checkpoint=tmp_path / "none" / "run.npz", history=history)
    assert not history.records
    (tmp_path / "none").mkdir()
    for _ in range(2):  # a whole run is read, whether or not it could be written
        tv.fit(tv.VAE(64, 2, (8,)), digits[:50], epochs=1, checkpoint=tmp_path / "none" / "run.npz")
        (tmp_path / "none").chmod(0o555)
    (tmp_path / "none").chmod(0o755)
