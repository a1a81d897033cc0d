"""The commands. A file holds one or two: their flags, and the function that runs them.

A command imports large modules only when it runs, so that `minigpt --help` starts quickly.
"""
