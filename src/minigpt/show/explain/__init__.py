"""A page that walks through a model, for readers who have never seen a Transformer.

Read `walk` for the parts of the page. `embedding_steps`, `first_attention`, `first_neurons`,
`stack`, `answer` and `error_and_gradient` explain them, in this order. `page` turns them into HTML.
"""
