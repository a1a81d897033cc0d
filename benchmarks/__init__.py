"""Measurements of all that miniGPT claims about speed and memory: `python -m benchmarks --help`.

Read `interleave` first: how two sides are compared. Then `ceilings`: what the machine can do at
best. Then any subject: `training`, `memory`, `scaling`, `generation`, `tokenizers`,
`startup`.
"""
