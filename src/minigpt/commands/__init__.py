"""The commands: each file has one or two, what they take and what they do.

Heavy imports happen in the command that needs them.
"""
