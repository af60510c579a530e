"""The suite can fail: each known bug, planted in a copy of the package, is caught by the tests that should see it.

A mutant is a textual replacement, found exactly once, so that it cannot silently vanish. The tests run in
a process of its own, on the NumPy twins (nothing compiles), but for the compiled mutants. A failed test
gives exit status 1; an import error or a test that is not there gives another and proves nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import tinyvae

TESTS = Path(__file__).parent


class Mutant(NamedTuple):
    file: str
    right: str
    wrong: str
    tests: tuple  # "file.py::name"; a name stands for all its parameters
    compiled: bool = False
    slow: bool = False  # left out unless slow tests are asked for


GAUSSIAN, DENSE = "kernels/gaussian.py", "kernels/dense.py"
TEAM, PASSES, BLOCKS = "kernels/team.py", "kernels/passes.py", "kernels/blocks.py"
LEARNT = "Gaussian(variance='shared', mean='linear')"
SCORE, PATHWISE = "estimators/score_function.py", "estimators/pathwise.py"
RELAXED = "estimators/relaxed.py"

MUTANTS = {
    "a large file gathered from its first rows": Mutant(
        "machine/disk.py", "kernels.gather(x, rows[start : start + n_rows]", "kernels.gather(x, rows[:n_rows]",
        ("test_read.py::test_a_mapped_file_trains_bit_for_bit_like_an_array",), slow=True,
    ),
    "bits in a large file taken for grey levels": Mutant(
        "machine/bits.py", "(is_large(x) and all(map(only_bits, pieces(x.ravel()))))", "False",
        ("test_read.py::test_a_mapped_file_trains_bit_for_bit_like_an_array",), slow=True,
    ),
    "a private mapping let go": Mutant(
        "machine/disk.py", ' and _mode(x) != "c"', "",
        ("test_read.py::test_what_was_written_into_a_private_mapping_is_kept",), slow=True,
    ),
    "a file opened whose checksum differs": Mutant(
        "datasets/download.py", " != FILES[name][file]:", ' == "":',
        ("test_datasets.py::test_what_is_not_the_published_file_is_not_opened",),
    ),
    "a hole in a csv that stops its rescaling": Mutant(
        "datasets/formats.py", "field in MISSING or field.lstrip", "field.lstrip",
        ("test_read.py::test_holes_do_not_change_how_a_csv_is_rescaled",),
    ),
    "the Jacobian of pixels divided by 255 with the wrong sign": Mutant(
        "evaluate/held_out.py", "np.log2(levels) - log_p", "-np.log2(levels) - log_p",
        ("test_cli_evaluate.py::test_bits_per_pixel_are_in_the_unit_of_a_step",), slow=True,
    ),
    "a short step that leaves the prior": Mutant(
        "evaluate/geometry.py", "near = r * first + ", "near = first + ",
        ("test_geometry.py::test_continuity_is_what_the_theory_says",), slow=True,
    ),
    "a probe's error without that of the test images": Mutant(
        "evaluate/probe.py", "for axis in (0, 1))", "for axis in (0,))",
        ("test_geometry.py::test_a_probe_knows_its_error",), slow=True,
    ),
    "a collapse cried while the KL grows": Mutant(
        "training/history.py", " and stalled and not grows", " and stalled",
        ("test_collapse.py::test_the_rule",), slow=True,
    ),
    "a ticket given twice": Mutant(
        TEAM, "            return ticket - base\n", "            return max(0, ticket - base - (ticket - base == 2))\n",
        ("test_team.py::test_a_ticket_is_given_once_and_none_of_another_phase",), compiled=True,
    ),
    "a barrier one short": Mutant(
        TEAM, "while load(team, DONE) < base + n:", "while load(team, DONE) < base + n - 1:",
        ("test_team.py::test_a_meeting_waits_for_the_last_block",), compiled=True,
    ),
    "the first pass of a call alone": Mutant(
        TEAM, "    while passes[at]:\n", "    if passes[at]:\n",
        ("test_team.py::test_the_passes_of_a_call_run_one_after_the_other",), compiled=True,
    ),
    "a tile's last column left out": Mutant(
        PASSES, "min(block_n, n_out - j0)", "min(block_n, n_out - j0 - 1)",
        ("test_passes.py::test_a_pass_over_two_layers_is_its_twin",), compiled=True,
    ),
    "a chunk of a product's sums lost": Mutant(
        BLOCKS, "b + step_b, like.dtype.type(1)", "b + step_b, like.dtype.type(0)",
        ("test_passes.py::test_a_pass_over_two_layers_is_its_twin",), compiled=True,
    ),
    "a product added to what was there, and its chunks not added": Mutant(
        BLOCKS, "    keep = like.dtype.type(beta)\n", "    keep = like.dtype.type(1)\n",
        ("test_passes.py::test_a_pass_over_two_layers_is_its_twin",), compiled=True,
    ),
    "a helper that takes another precision's size": Mutant(
        "kernels/addresses.py", "size = like.dtype.bitwidth // 8", "size = 4",
        ("test_passes.py::test_a_pass_over_two_layers_is_its_twin",), compiled=True,
    ),
    "a product of no rows that leaves its room as it was": Mutant(
        BLOCKS, "for start in range(0, max(1, k), chunk):", "for start in range(0, k, chunk):",
        ("test_passes.py::test_no_rows_leave_empty_arrays_and_zero_gradients",), compiled=True,
    ),
    "a drift against the momentum": Mutant(
        "evaluate/hamiltonian.py", "z = place.z + step * momentum", "z = place.z - step * momentum",
        ("test_hamiltonian.py::test_the_energy_is_kept_to_the_second_order_of_the_step",),
    ),
    "a whole kick at a trajectory's start": Mutant(
        "evaluate/hamiltonian.py", "for _ in range(n_steps):\n        momentum = momentum + 0.5 * kick",
        "for _ in range(n_steps):\n        momentum = momentum + kick",
        ("test_hamiltonian.py::test_a_trajectory_comes_back_with_its_momentum_turned_round",), slow=True,
    ),
    "every proposal taken": Mutant(
        "evaluate/hamiltonian.py", "taken = -rng.standard_exponential(gain.shape) < gain", "taken = np.isfinite(gain)",
        ("test_hamiltonian.py::test_a_move_leaves_the_density_as_it_is",),
    ),
    "a temperature left out": Mutant(
        "evaluate/chains.py", "zip(betas, betas[1:])", "zip(betas[1:], betas[2:])",
        ("test_annealed.py::test_both_bounds_are_exact_on_average[2-10-prior-linear]",), slow=True,
    ),
    "a joint density without the prior": Mutant(
        "evaluate/chains.py", "both, dboth = first - loss", "both, dboth = -loss.astype('float64')",
        ("test_annealed.py::test_both_bounds_are_exact_on_average[2-10-prior-linear]",), slow=True,
    ),
    # Moves along a wrong slope leave the density as it is all the same: fewer of them are taken.
    "a joint density's slope without the prior": Mutant(
        "evaluate/chains.py", "dfirst - slope", "-slope",
        ("test_annealed.py::test_slopes_are_those_of_the_densities",),
    ),
    "chains that go up from the posterior": Mutant(
        "evaluate/annealed.py", "plan.betas[::-1]", "plan.betas",
        ("test_annealed.py::test_both_bounds_are_exact_on_average[2-10-prior-linear]",), slow=True,
    ),
    "the mean of the logarithms for the logarithm of the mean": Mutant(
        "evaluate/annealed.py", "high + np.log(w.mean(axis=0))", "log_w.mean(axis=0)",
        ("test_annealed.py::test_both_bounds_are_exact_on_average[2-10-prior-linear]",), slow=True,
    ),
    "the effective size of weights in two units": Mutant(
        "evaluate/log_likelihood.py", "squares[points] * unit**2", "squares[points] * unit",
        ("test_log_likelihood.py::test_error_and_effective_size_are_those_of_the_weights",),
    ),
    "the effective size of the weights' roots": Mutant(
        "evaluate/annealed.py", "w.sum(axis=0) ** 2 / (w * w).sum(axis=0)",
        "np.sqrt(w).sum(axis=0) ** 2 / w.sum(axis=0)",
        ("test_annealed.py::test_the_error_is_the_value_s_and_more_steps_make_it_smaller",), slow=True,
    ),
    "a log-variance read as a log-std": Mutant(
        "distributions/gaussian.py", "half = 0.5 * q.logvar", "half = q.logvar.copy()",
        ("test_distributions.py::test_samples_have_mean_mu_and_variance_exp_logvar",),
    ),
    "a sampler that forgets the mean": Mutant(
        GAUSSIAN, "    z += params[:, : std.shape[1]]\n", "",
        ("test_distributions.py::test_samples_have_mean_mu_and_variance_exp_logvar",),
    ),
    "no 1/2 in the KL": Mutant(
        GAUSSIAN, "out[:] = 0.5 * (std * std + mu * mu - 1 - logvar)", "out[:] = (std * std + mu * mu - 1 - logvar)",
        ("test_distributions.py::test_kl_is_the_integral",),
    ),
    "the wrong sign in the score's scale term": Mutant(
        GAUSSIAN, "out[..., n:] = 0.5 * (u * u - 1)", "out[..., n:] = 0.5 * (1 - u * u)",
        ("test_distributions.py::test_score_is_the_slope_of_log_prob_in_the_parameters",),
    ),
    "no logvar in the log-density": Mutant(
        GAUSSIAN, "out[...] = -0.5 * (u * u + params[:, n:] + LOG_2PI)", "out[...] = -0.5 * (u * u + LOG_2PI)",
        ("test_distributions.py::test_log_prob_is_scipys",),
    ),
    "no 1/2 in the chain rule through the sample": Mutant(
        GAUSSIAN, "out[..., n:] = 0.5 * dz * std * eps", "out[..., n:] = dz * std * eps",
        ("test_estimators.py::test_mean_is_the_exact_gradient_of_a_polynomial",),
    ),
    "a baseline that includes its own sample": Mutant(
        SCORE, "baseline = (f.sum(axis=0) - f) / (len(f) - 1)", "baseline = f.mean(axis=0)",
        ("test_estimators.py::test_mean_is_the_exact_gradient_of_a_polynomial",),
    ),
    "straight-through sold as unbiased": Mutant(
        RELAXED, 'q=("relaxed_path",), f=("value", "grad"), biased=True', 'q=("relaxed_path",), f=("value", "grad")',
        ("test_relaxed.py::test_they_say_that_they_are_biased",), slow=True,
    ),
    "a relaxed slope without its 1 / temperature": Mutant(
        "distributions/relaxed.py", "return dy * y * (1 - y) / self.dtype.type(temperature)", "return dy * y * (1 - y)",
        ("test_relaxed.py::test_gradients_through_the_relaxation_are_central_differences",), slow=True,
    ),
    "the KL of the relaxed density": Mutant(
        RELAXED, "dparams = q.relaxed_path(loss.grad(y), y, self.present) + loss.explicit(y)",
        "dparams = q.relaxed_path(target.grad(y), y, self.present) - loss.beta * (np.tanh((q.odds(eps) - q.logits) / 2)"
        " - np.tanh((q.odds(eps) - q.prior.logits) / 2))",
        ("test_relaxed.py::test_the_sampled_kl_is_the_discrete_one",), slow=True,
    ),
    "MuProp without its mean-field term": Mutant(
        RELAXED, "q.score(z) + _mean_path(q, slope)", "q.score(z)",
        ("test_relaxed.py::test_muprops_mean_is_the_sum_over_all_states",), slow=True,
    ),
    "a relaxation's decoder trained at the sample": Mutant(
        "models/step.py", "target.weight_gradients(y, weights)", "target.weight_gradients(z, weights)",
        ("test_relaxed.py::test_gumbel_softmax_trains_the_decoder_at_the_relaxed_sample_and_reports_at_the_sample",),
        slow=True,
    ),
    "a temperature that stays where it starts": Mutant(
        RELAXED, "self.step += 1", "self.step += 0",
        ("test_relaxed.py::test_a_temperature_is_annealed_in_training_and_goes_on_from_a_checkpoint",), slow=True,
    ),
    "ARM without its 1/2": Mutant(
        "estimators/antithetic.py", "0.5 * (f - mirrored)", "(f - mirrored)",
        ("test_antithetic.py::test_variances_of_one_bit_are_the_table",), slow=True,
    ),
    "DisARM with the wrong side of m": Mutant(
        "distributions/binary.py", "larger = np.maximum(", "larger = np.minimum(",
        ("test_antithetic.py::test_variances_of_one_bit_are_the_table",), slow=True,
    ),
    "mirrored sticks from the most probable way": Mutant(
        "distributions/coupling.py", "order = probs.argsort(axis=2)", "order = (-probs).argsort(axis=2)",
        ("test_antithetic.py::test_weights_are_what_they_say_and_both_samples_alike",), slow=True,
    ),
    "REBAR without the term through the conditional sample": Mutant(
        "estimators/rebar.py", "path - q.given_path(path, eps) - ", "path - ",
        ("test_rebar.py::test_rebars_mean_is_the_sum_over_all_states",), slow=True,
    ),
    "RELAX without the term through the conditional sample": Mutant(
        "estimators/control_variates.py", "slope - q.given_path(slope, eps)", "slope",
        ("test_rebar.py::test_relaxs_mean_is_the_sum_over_all_states",), slow=True,
    ),
    "a slope that does not go through the upper layer": Mutant(
        "models/two_layer_step.py", "through - np.asarray(self.weight * own, own.dtype)", "-self.weight * own",
        ("test_two_layers.py::test_the_lower_targets_slope_is_that_of_its_mean",), slow=True,
    ),
    "the upper layer's KL forgotten below": Mutant(
        "models/two_layer_step.py", "self.losses += np.asarray(closed * q.kl(), self.losses.dtype)", "pass",
        ("test_two_layers.py::test_a_layer_each_and_two_samples",), slow=True,
    ),
    "p(z1 | z2) trained with a weight of 1": Mutant(
        "models/two_layer_step.py", "np.asarray(self.weight * shares, shares.dtype), networks", "shares, networks",
        ("test_two_layers.py::test_a_layer_each_and_two_samples",), slow=True,
    ),
    "a temperature whose slope is forgotten": Mutant(
        "estimators/rebar.py", "np.array([hotter, twice", "np.array([0.0, twice",
        ("test_rebar.py::test_rebar_learns_down_the_slope_of_its_mean_square",), slow=True,
    ),
    "a level that holds the call's own samples": Mutant(
        "estimators/rebar.py", "z, odds = q.sample(eps), q.odds(eps)  # S, B, K",
        "z, odds = q.sample(eps), q.odds(eps)\n        own.mean.add(float(loss(z).mean()))",
        ("test_rebar.py::test_evaluations_are_counted_and_a_call_alone_teaches_nothing",), slow=True,
    ),
    "no term through the path": Mutant(
        PATHWISE, "q.path(dz, eps) + loss.explicit(z)", "loss.explicit(z)",
        ("test_vae.py::test_gradient_agrees_with_central_differences_for_each_objective",),
    ),
    # Not a bias, since that term's mean is zero: only the gradient at fixed noise and the variance see it.
    "no explicit score term": Mutant(
        PATHWISE, "q.path(dz, eps) + loss.explicit(z)", "q.path(dz, eps)",
        ("test_vae.py::test_gradient_agrees_with_central_differences_for_each_objective",),
    ),
    "no explicit score term, seen by the variance": Mutant(
        PATHWISE, "q.path(dz, eps) + loss.explicit(z)", "q.path(dz, eps)",
        ("test_estimators.py::test_variance_of_the_elbos_gradient_on_a_prior_and_one_observation",),
    ),
    "a sampled KL that the score function ignores": Mutant(
        "objectives/integrand.py",
        "return (f + self.beta * self.q.log_ratio(z)).astype(f.dtype, copy=False) if self.beta else f", "return f",
        ("test_estimators.py::test_mean_with_a_sampled_kl_is_the_gradient_of_the_whole_loss",),
    ),
    "the encoder's gradient averaged twice over the batch": Mutant(
        GAUSSIAN, "dparams.sum(axis=0) / (n_samples * n_points)",
        "dparams.sum(axis=0) / (n_samples * n_points * n_points)",
        ("test_vae.py::test_gradient_agrees_with_central_differences_for_each_activation",),
    ),
    "the decoder's gradient averaged twice over the batch": Mutant(
        "models/step.py", "/ len(x)  # S, B\n    decoder_grads", "/ len(x) ** 2\n    decoder_grads",
        ("test_vae.py::test_gradient_is_a_mean_over_the_batch",),
    ),
    "the wrong slope of tanh": Mutant(
        DENSE, "dy *= 1 - y * y", "dy *= 1 - y",
        ("test_mlp.py::test_backward_agrees_with_central_differences",),
    ),
    "the wrong sign of the Bernoulli slope": Mutant(
        "kernels/bernoulli.py", "np.where(logits > 0, c - e / (1 + e), e / (1 + e) - c)",
        "-np.where(logits > 0, c - e / (1 + e), e / (1 + e) - c)",
        ("test_distributions.py::test_slope_is_the_derivative_of_the_loss",),
    ),
    "a Bernoulli loss that overflows": Mutant(
        "kernels/bernoulli.py", "loss[:] = (size * c + np.log1p(np.exp(-size))).sum(axis=1)",
        "loss[:] = (np.log(1 + np.exp(logits)) - x * logits).sum(axis=1)",
        ("test_distributions.py::test_log_prob_of_a_bit_is_exact_for_logits_of_any_size",),
    ),
    "Adam without bias correction": Mutant(
        "optim.py", "rate = present / (1 - self.beta1**self.t)", "rate = present",
        ("test_train.py::test_adam_is_algorithm_1_of_the_paper",),
    ),
    "momentum forgotten": Mutant(
        "kernels/optimizers.py", "    velocity *= momentum\n", "    velocity *= 0\n",
        ("test_train.py::test_sgd_is_its_formula",),
    ),
    "the last minibatch dropped": Mutant(
        "training/train.py", "for start in range(0, len(x), plan.batch_size):",
        "for start in range(0, len(x) - len(x) % plan.batch_size, plan.batch_size):",
        ("test_train.py::test_an_epoch_visits_each_row_once_in_a_fresh_order",),
    ),
    "no shuffling": Mutant(
        "training/train.py", "order = order_rng.permutation(len(x))", "order = np.arange(len(x))",
        ("test_train.py::test_an_epoch_visits_each_row_once_in_a_fresh_order",),
    ),
    "a save that writes into the old file": Mutant(
        "machine/files.py", 'with open(temporary, "xb") as file:',
        'temporary = path\n        with open(temporary, "wb") as file:',
        ("test_vae.py::test_a_save_that_fails_leaves_the_old_file_and_nothing_else",),
    ),
    "an optimal constant from all samples": Mutant(
        SCORE, "others = 1 - np.eye(len(eps), dtype=h.dtype)", "others = np.ones((len(eps), len(eps)), h.dtype)",
        ("test_learning_estimators.py::test_optimal_constant_is_exactly_unbiased",),
    ),
    "a surrogate without its path": Mutant(
        "estimators/control_variates.py", " * score + path(dc + slope, eps)  # S, B, 2K", " * score  # S, B, 2K",
        ("test_learning_estimators.py::test_estimators_of_one_sample_are_exactly_unbiased",),
    ),
    "the wrong half of the surrogate's training gradient": Mutant(
        "distributions/gaussian.py", "return dmu + 0.5 * self.std * eps * dlogvar",
        "return dmu + self.std * eps * dlogvar",
        ("test_learning_estimators.py::test_the_surrogates_training_gradient_is_that_of_the_mean_square",),
    ),
    "DReG's weights not squared": Mutant(
        "estimators/importance_weighted.py", "(weights * weights)[..., None]", "weights[..., None]",
        ("test_importance_weighted.py::test_estimators_are_unbiased_by_product_quadrature",),
    ),
    "a moving average that is never updated in training": Mutant(
        "training/train.py", "                _update(plan.estimator, step)\n", "                pass\n",
        ("test_checkpoints.py::test_a_run_in_two_parts_is_a_run_in_one",),
    ),
    "an optimiser that is not taken up again": Mutant(
        "training/checkpoints.py", "        getattr(plan, owner).restore(state)\n", "        pass\n",
        ("test_checkpoints.py::test_a_run_in_two_parts_is_a_run_in_one",),
    ),
    "an acceptance without the proposal's correction": Mutant(
        "evaluate/imputation.py", "- q.log_ratio(z)[0]", "+ vae.prior.log_prob(z)[0]",
        ("test_imputation.py::test_draws_have_the_closed_forms_mean_and_covariance",),
    ),
    "an acceptance by the pixels as they are drawn anew": Mutant(
        "evaluate/imputation.py", "_log_weights(vae, q, z, outputs, x)  # R",
        "_log_weights(vae, q, z, outputs, _pixels(vae, outputs, rng))  # R",
        ("test_imputation.py::test_draws_have_the_closed_forms_mean_and_covariance",), slow=True,
    ),
    "two chunks of chains that are the same": Mutant(
        "evaluate/imputation.py", "% len(holes)], np.random.default_rng(seed.spawn(1)[0])",
        "% len(holes)], np.random.default_rng(seed)",
        ("test_imputation.py::test_no_two_chains_share_their_numbers",), slow=True,
    ),
    "a Gaussian without its normaliser": Mutant(
        "kernels/gaussian_pixels.py", "LOG_2PI = math.log(2 * math.pi)", "LOG_2PI = 0.0",
        (f"test_likelihoods.py::test_the_loss_alone_is_minus_the_log_density[{LEARNT}]",), slow=True,
    ),
    "a gap against the encoder's q": Mutant(
        "evaluate/inference.py", "lacking = np.log(mean) + highest - bound",
        "lacking = np.log(mean) + highest - encoded.mean(axis=0)",
        ("test_inference.py::test_the_gaps_are_the_closed_forms",), slow=True,
    ),
    "importance weights that know nothing of the prior's share": Mutant(
        "evaluate/inference.py", "np.log(2) - np.logaddexp(terms[..., 1], 0)", "-terms[..., 1]",
        ("test_inference.py::test_the_gaps_are_the_closed_forms",), slow=True,
    ),
    "Sobol points without their shift": Mutant(
        "noise.py", "scrambled[:] = rng.integers(one, size=(n_points, n_latents))", "scrambled[:] = 0",
        ("test_noise.py::test_each_sample_alone_is_standard_normal",),
    ),
    "a continuous Bernoulli without its normaliser": Mutant(
        "kernels/continuous_bernoulli.py", "loss[:] = (m * c + log_normaliser_numpy(m)).sum(axis=1)",
        "loss[:] = (m * c + np.log1p(np.exp(-m))).sum(axis=1)",
        ("test_likelihoods.py::test_it_integrates_or_sums_to_one_and_has_its_mean[continuous_bernoulli]",), slow=True,
    ),
    "a variance for a standard deviation in a Gaussian's draws": Mutant(
        "likelihoods/gaussian.py", "self.mean + np.sqrt(self.variance) * noise", "self.mean + self.variance * noise",
        (f"test_likelihoods.py::test_its_samples_have_its_moments[{LEARNT}-float64]",), slow=True,
    ),
    "a root in the squared error": Mutant(
        "kernels/squared_error.py", "loss[:] = (off * off).sum(axis=1)", "loss[:] = np.sqrt((off * off).sum(axis=1))",
        ("test_likelihoods.py::test_the_squared_error_is_a_gaussian_of_variance_one_half_but_for_a_constant",),
        slow=True,
    ),
    "a mean over the pixels for a sum": Mutant(
        "kernels/squared_error.py", "loss[:] = (off * off).sum(axis=1)", "loss[:] = (off * off).mean(axis=1)",
        ("test_likelihoods.py::test_the_squared_error_is_a_gaussian_of_variance_one_half_but_for_a_constant",),
        slow=True,
    ),
    "a learnt variance without gradient": Mutant(
        "likelihoods/gaussian.py", "slope = slope * kernels.floored_numpy(", "slope = 0 * kernels.floored_numpy(",
        (f"test_likelihoods.py::test_the_gradient_its_own_parameters_included_is_the_slope_of_the_loss[{LEARNT}]",),
        slow=True,
    ),
    "what a decoder said, kept after its loss": Mutant(
        PASSES, "copy[0, j] = row[0, j]", "copy[0, j] = 0 * row[0, j]",
        ("test_passes.py::test_a_loss_that_takes_numbers_keeps_what_the_decoder_says",), compiled=True,
    ),
    "a compiled loop that differs from its twin": Mutant(
        DENSE, "dy[i, j] *= one - y[i, j] * y[i, j]", "dy[i, j] *= one - y[i, j]",
        ("test_kernels.py::test_loop_equals_twin[tanh_backward-float64]",), compiled=True,
    ),
    "a learnt prior whose KL has no slope": Mutant(
        "models/step.py", "{name: closed[name] - objective",
        "{name: -objective",
        ("test_full_gaussian.py::test_a_vae_s_gradient_is_the_slope_of_its_loss",), slow=True,
    ),
    "a learnt prior whose sampled KL has no slope": Mutant(
        "models/step.py", " - objective.sampled_kl * sampled[name]",
        "",
        ("test_full_gaussian.py::test_a_vae_s_gradient_is_the_slope_of_its_loss",), slow=True,
    ),
    "a Cholesky factor's gradient transposed": Mutant(
        "distributions/full_gaussian.py", "dz[..., rows] * eps[..., columns]",
        "dz[..., columns] * eps[..., rows]",
        ("test_full_gaussian.py::test_its_slopes_are_those_of_its_values",), slow=True,
    ),
    "a log-diagonal read as a log-variance": Mutant(
        "distributions/full_gaussian.py", "range(n)] = np.exp(q.logdiag)",
        "range(n)] = np.exp(0.5 * q.logdiag)",
        ("test_full_gaussian.py::test_its_parts_are_what_it_was_made_of",), slow=True,
    ),
    "free bits that charge what is free": Mutant(
        "objectives/bounds.py", "(kl.mean(axis=0) > self.free)",
        "(kl.mean(axis=0) < self.free)",
        ("test_full_gaussian.py::test_a_vae_s_gradient_is_the_slope_of_its_loss",), slow=True,
    ),
    "free bits of each data point": Mutant(
        "objectives/bounds.py", "np.maximum(q.kl_by_latent().mean(axis=0), self.free).sum()",
        "np.maximum(q.kl_by_latent(), self.free).sum(axis=1).mean()",
        ("test_full_gaussian.py::test_free_bits_are_those_of_the_batch_s_mean",), slow=True,
    ),
    "a learnt prior that draws with its variance for a standard deviation": Mutant(
        "distributions/prior.py", "(self.mu + _exp(0.5 * self.logvar) * eps)", "(self.mu + _exp(self.logvar) * eps)",
        ("test_full_gaussian.py::test_a_learnt_prior_draws_from_its_density_and_inverts_its_distribution_function",),
        slow=True,
    ),
    "weight decay without the rate": Mutant(
        "optim.py", "1 - present * self.weight_decay",
        "1 - self.weight_decay",
        ("test_schedules.py::test_weight_decay_is_apart_from_the_gradient",), slow=True,
    ),
    "short gradients made longer": Mutant(
        "optim.py", "    if length > norm:\n",
        "    if True:\n",
        ("test_schedules.py::test_a_long_gradient_is_shortened",), slow=True,
    ),
    "a schedule a step late": Mutant(
        "optim.py", 'present = schedules.at("rate", self.rate, self.t + 1',
        'present = schedules.at("rate", self.rate, self.t + 2',
        ("test_schedules.py::test_a_rate_is_asked_for_each_step_from_1",), slow=True,
    ),
    "early stopping that keeps the last": Mutant(
        "training/fit.py", "                vae.theta = plan.best\n",
        "                pass\n",
        ("test_schedules.py::test_early_stopping_keeps_the_best_epoch_s_parameters",), slow=True,
    ),
    "a checkpoint that forgets the best": Mutant(
        "training/checkpoints.py", "best = {} if plan.best is None else",
        "best = {} if True else",
        ("test_schedules.py::test_early_stopping_keeps_the_best_epoch_s_parameters",), slow=True,
    ),
    "an autoencoder's code trained by the sum": Mutant(
        "models/autoencoder.py", "target.grad(z)[0] / len(x)",
        "target.grad(z)[0]",
        ("test_autoencoder.py::test_its_gradient_is_the_slope_of_its_loss",), slow=True,
    ),
    "the straight-through slope dropped": Mutant(
        "models/vq.py", "finite(\"the gradient of the code\", through + pull)",
        "finite(\"the gradient of the code\", pull)",
        ("test_vq.py::test_its_gradient_is_the_slope_straight_through",), slow=True,
    ),
    "commitment that pulls the codebook": Mutant(
        "models/vq.py", "book[\"codebook.vectors\"][:] = (2 / len(x)) *",
        "book[\"codebook.vectors\"][:] = (2 * self.commitment / len(x)) *",
        ("test_vq.py::test_its_gradient_is_the_slope_straight_through",), slow=True,
    ),
    "the codebook's term that pulls the encoder": Mutant(
        "models/vq.py", "pull = (2 * self.commitment / len(x)) * off",
        "pull = (2 / len(x)) * off",
        ("test_vq.py::test_its_gradient_is_the_slope_straight_through",), slow=True,
    ),
    "moving averages of means, whatever the counts": Mutant(
        "models/vq.py", "(1 - self.decay) * moved / n[found, None]",
        "(1 - self.decay) * moved / counts[found, None]",
        ("test_vq.py::test_moving_averages_are_of_sums_over_those_of_counts",), slow=True,
    ),
    "dead codes left where they are": Mutant(
        "models/vq.py", "vectors[dead] = z[rng.choice", "_ = z[rng.choice",
        ("test_vq.py::test_a_dead_code_is_put_on_the_data",), slow=True,
    ),
    "dead codes revived from outside the run's seed": Mutant(
        "models/vq.py", "z[rng.choice(", "z[np.random.choice(",
        ("test_vq.py::test_a_run_in_two_parts_is_a_run_in_one",), slow=True,
    ),
    "an autoregressive mask that sees its own position": Mutant(
        "models/codes_prior.py", "seen[-1][:, None] < ends", "seen[-1][:, None] <= ends",
        ("test_codes_prior.py::test_its_probabilities_add_up_to_one",
         "test_codes_prior.py::test_an_output_sees_what_stands_before_it_and_nothing_else"), slow=True,
    ),
    "masked weights that learn": Mutant(
        "models/codes_prior.py", "        grads *= self.mask\n", "",
        ("test_codes_prior.py::test_its_gradient_is_the_slope_of_its_loss",), slow=True,
    ),
    "a start at the mean in place of its logit": Mutant(
        "likelihoods/bernoulli.py", "return np.log(mean / (1 - mean))",
        "return mean",
        ("test_schedules.py::test_the_decoder_starts_at_the_mean_of_the_data",), slow=True,
    ),
    "a mixture without the log of its number": Mutant(
        "evaluate/aggregate.py", "np.log(total / (n - (left_out is not None)))", "np.log(total)",
        ("test_rates.py::test_agrees_with_integrals",), slow=True,
    ),
    "a rate against the aggregate": Mutant(
        "evaluate/rate_distortion.py", "Estimate(float(kl.mean()), 0.0)", "Estimate(information.value, 0.0)",
        ("test_rates.py::test_two_narrow_codes_are_those_of_the_lesson",), slow=True,
    ),
    "a latent's own code among the others": Mutant(
        "evaluate/aggregate.py", "log_q[here, left_out[here] - start] = -np.inf", "pass",
        ("test_rates.py::test_equal_codes_say_nothing_and_codes_far_apart_say_all",), slow=True,
    ),
    "a latent's own code drawn among the others": Mutant(
        "evaluate/aggregate.py", "drawn + (drawn >= own[some, None])", "drawn",
        ("test_rates.py::test_some_of_the_codes_give_bounds_on_either_side",), slow=True,
    ),
    "some codes taken for all": Mutant(
        "evaluate/rate_distortion.py", "_mixed(own, rest, 1 / len(q.params))", "_mixed(own, rest, 1 / (n_others + 1))",
        ("test_rates.py::test_some_of_the_codes_give_bounds_on_either_side",), slow=True,
    ),
    "a grid's cell of one side": Mutant(
        "evaluate/aggregate.py", "total * np.prod(step)", "total * step[0]",
        ("test_rates.py::test_a_grid_says_how_far_it_is_off",), slow=True,
    ),
    "a standard normal in place of the learnt prior": Mutant(
        "evaluate/rate_distortion.py", "together - q.prior.log_prob(z)", "together - type(q).prior.log_prob(z)",
        ("test_rates.py::test_agrees_with_integrals",), slow=True,
    ),
    "chunks of draws whose means differ unseen": Mutant(
        "evaluate/rate_distortion.py", "so_far[points].copy()", "so_far[points]",
        ("test_rates.py::test_the_errors_are_those_of_the_draws",), slow=True,
    ),
    "a state's own code among the others": Mutant(
        "evaluate/discrete.py", "np.hstack([nothing, before[:, :-1]])", "before",
        ("test_evaluate_discrete.py::test_rates_by_enumeration_are_the_sums_over_all_states",), slow=True,
    ),
    "states that are all as likely": Mutant(
        "evaluate/discrete.py", "weights = np.exp(own)", "weights = np.full_like(own, 1 / len(z))",
        ("test_evaluate_discrete.py::test_rates_by_enumeration_are_the_sums_over_all_states",), slow=True,
    ),
    "an upper layer of fair bits": Mutant(
        "models/two_layers.py", "given + self.prior.log_prob(z2)[:, 0]", "given - np.log(len(z2))",
        ("test_evaluate_discrete.py::test_two_layers_have_an_exact_likelihood",), slow=True,
    ),
    "a variance's error of a normal's tails": Mutant(
        "evaluate/active_units.py", "(off**4).mean(axis=0)", "3 * variances**2",
        ("test_rates.py::test_their_errors_hold_over_data_sets",), slow=True,
    ),
}  # fmt: skip


def copy_of_the_package(folder):
    package = Path(tinyvae.__file__).parent
    shutil.copytree(package, folder / "tinyvae", ignore=shutil.ignore_patterns("*.nbi", "*.nbc"))
    shutil.copytree(package.parent / "data", folder / "data")
    return folder / "tinyvae"


# pytest on the checkout's tests and on the package in a folder. The assertion makes sure that it is the copy.
TRIAL = """
import os, sys
import numba, numpy, pytest, scipy.stats

def trial(folder, options):
    import tinyvae
    assert tinyvae.__file__.startswith(folder)
    return int(pytest.main(options))
"""
FRESH = TRIAL + "sys.exit(trial(sys.argv[1], sys.argv[2:]))"
# One process loads what takes long, never the package, and has a child for each trial.
NURSERY = (
    TRIAL
    + """
import json, signal, traceback
for line in sys.stdin:
    folder, options = json.loads(line)
    child = os.fork()
    if not child:
        signal.alarm(300)
        output = open(os.path.join(folder, "output"), "w")
        os.dup2(output.fileno(), 1), os.dup2(output.fileno(), 2)
        os.chdir(folder)
        os.environ["PYTHONPATH"] = folder
        sys.path.insert(0, folder)
        status = 70
        try:
            status = trial(folder, options)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
)


def environment(**more):
    return os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | more


@pytest.fixture(scope="module")
def nursery():
    """nursery(folder, options): the exit status and the output of pytest on a folder's copy, on the NumPy twins."""
    if not hasattr(os, "fork"):
        yield lambda folder, options: fresh(folder, options, TINYVAE_NUMPY="1")
        return
    with subprocess.Popen(
        [sys.executable, "-P", "-c", NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(TINYVAE_NUMPY="1"),
        text=True,
    ) as mother:

        def one(folder, options):
            print(json.dumps([str(folder), options]), file=mother.stdin, flush=True)
            return int(mother.stdout.readline()), (folder / "output").read_text()

        yield one
        mother.stdin.close()


def fresh(folder, options, **more):
    """The same by a process that loads everything anew."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", FRESH, str(folder), *options],
        cwd=folder,
        env=environment(PYTHONPATH=str(folder), **more),
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def run(folder, tests, nursery, compiled=False):
    """The exit status and the output of tests, on the package in `folder`."""
    options = ["-q", "-x", "-p", "no:cacheprovider", f"--rootdir={TESTS.parent}"]
    options += [str(TESTS / test) for test in sorted(tests)]
    if not compiled:
        return nursery(folder, options)
    # The tests' own loops would keep what they took of a mutant.
    return fresh(folder, options, TINYVAE_NUMPY="0", NUMBA_CACHE_DIR=str(folder / "compiled"))


def slow(mutant):
    """Whether it is left out by default, or takes a quarter of a minute, for the passes are compiled anew."""
    return mutant.slow or mutant.compiled and mutant.file in (PASSES, BLOCKS, "kernels/addresses.py")


@pytest.mark.slow
def test_an_unchanged_copy_passes(tmp_path, nursery):
    copy_of_the_package(tmp_path)
    tests = {test for mutant in MUTANTS.values() for test in mutant.tests if not mutant.compiled}
    status, output = run(tmp_path, tests, nursery)
    assert status == pytest.ExitCode.OK, output


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if slow(mutant) else ()) for name, mutant in MUTANTS.items()]
)
def test_mutant_is_caught(name, tmp_path, nursery):
    mutant = MUTANTS[name]
    file = copy_of_the_package(tmp_path) / mutant.file
    source = file.read_text()
    assert source.count(mutant.right) == 1, (
        f"{mutant.file} holds {mutant.right!r} {source.count(mutant.right)} times: mend this mutant"
    )
    file.write_text(source.replace(mutant.right, mutant.wrong))
    status, output = run(tmp_path, mutant.tests, nursery, mutant.compiled)
    assert status == pytest.ExitCode.TESTS_FAILED, output
