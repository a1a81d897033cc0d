"""Proofs that every gradient is right, and that all holds that must.

Read `gradients` first, which checks one layer, yours too; then `layers`, which goes through a whole
model, and `properties`, which tries what has nothing to do with gradients; `verdict` prints it.
"""

from minigpt.check.gradients import GradientCheck, check_gradients

__all__ = ["GradientCheck", "check_gradients"]
