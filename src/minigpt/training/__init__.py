"""Training: the loop, its settings, the optimizers, the evaluation."""
