"""The textbook: every formula in plain NumPy, beside its derivative."""
