"""A walk through a model as one page, for a reader who never saw a Transformer.

Read `walk` for its parts; `opening`, `attention`, `neurons`, `stack`, `answer` and `learning` for
what is told, in this order; and `page` for how it becomes HTML. `command` is `minigpt explain`.
"""
