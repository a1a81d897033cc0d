"""Training as an iterator: the loop, its settings, the evaluation."""
