"""Training: the loop, what it leaves behind, and a run in a file."""

from tinyvae.training.fit import fit
from tinyvae.training.history import History, Record, Validation
from tinyvae.training.plan import Plan
from tinyvae.training.train import train

__all__ = ["train", "fit", "Plan", "History", "Record", "Validation"]
