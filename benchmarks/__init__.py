"""What miniGPT claims about its speed and memory, measured: `python -m benchmarks --help`.

Read `interleave` first, for how two sides are compared, then `ceilings`, for what the machine can
do at best, then any subject: `training`, `memory`, `scaling`, `generation`, `tokenizers`,
`startup`.
"""
