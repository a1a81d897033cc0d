"""The tabs Look and Read: what a model does with a text."""
