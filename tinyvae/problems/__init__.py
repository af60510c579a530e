"""Expectations whose gradient is known exactly: named ones, the certificate's, and how to make one."""

from tinyvae.problems.certified import bound_problems, default_problems
from tinyvae.problems.discrete import coupled_bits, one_bit, one_choice
from tinyvae.problems.exact import NODES, exact_gradient, exact_loss, exact_mean
from tinyvae.problems.linear_gaussian import LinearGaussian, linear_gaussian
from tinyvae.problems.named import PROBLEMS, cosine, coupled, exp, make, names, quadratic, quadratic_offset
from tinyvae.problems.problem import Problem, alone, problem
from tinyvae.problems.temperature import AlongTemperature, along_temperature, crossing
from tinyvae.problems.truth import Reference, rule, vae_gradient

__all__ = [
    "Problem", "problem", "alone", "names", "make", "PROBLEMS", "quadratic", "quadratic_offset", "exp", "cosine",
    "coupled", "LinearGaussian", "linear_gaussian", "one_bit", "coupled_bits", "one_choice", "Reference",
    "vae_gradient", "rule", "default_problems", "bound_problems", "exact_gradient", "exact_loss", "exact_mean", "NODES",
    "AlongTemperature", "along_temperature", "crossing",
]  # fmt: skip
