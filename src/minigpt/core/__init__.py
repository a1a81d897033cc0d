"""The textbook: every formula of a GPT in plain NumPy, beside its derivative.

Read it in this order: `functional` (the mathematics), `layers`, `model`, `optim`, `sampling`,
`generation` with its `cache`, and `bpe`. The `checks` files raise the errors for wrong input.
`kernels` records which functions also exist in a faster form. This folder imports only NumPy and
itself.
"""

from minigpt.core import generation as generation  # attaches `generate` to `miniGPT`
