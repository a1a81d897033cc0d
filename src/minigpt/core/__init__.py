"""The textbook: every formula of a GPT in plain NumPy, beside its derivative.

Read it in this order: `functional` (the mathematics), `layers`, `model`, `optim`, `sampling`,
`generation` with its `cache`, and `bpe`. `checks` has the errors that wrong input gets, `kernels`
says which functions also exist in a faster form. This folder imports NumPy and itself only.
"""

from minigpt.core import generation as generation  # it gives `miniGPT` its method `generate`
