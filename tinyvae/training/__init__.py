"""Training: the loop, what it leaves behind, and a run in a file."""

from tinyvae.training.history import History, Record, Validation
from tinyvae.training.train import Plan, fit, train

__all__ = ["train", "fit", "Plan", "History", "Record", "Validation"]
