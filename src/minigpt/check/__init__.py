"""Proofs that every gradient is right, and that a model has the properties it must have.

Read `gradients` first: it checks one layer or function, yours too. Then `proof` checks all layers
of a model, and `properties` tests what is not about gradients. `verdict` prints the results.
"""

from minigpt.check.comparison import GradientCheck
from minigpt.check.gradients import check_gradients

__all__ = ["GradientCheck", "check_gradients"]
