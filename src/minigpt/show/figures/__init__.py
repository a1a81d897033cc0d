"""Figures: each function draws results of `minigpt.inside` or `minigpt.runs` with Plotly.

From a `minigpt.Trace`: `token_cells`, `attention_maps`, `next_token`, `lens_table`,
`residual_stream`, `attribution_bars`, `surprise_text`. From a model: `embedding_map`,
`neuron_texts`, `head_table`. From runs: `loss_curves`, `layer_curves`, `over_time`. From one
training step: `slow_motion`. All of them use `style` and `marks`; `figure_file` saves figures.
Without Plotly: `loss_picture` (Matplotlib) and `loss_in_terminal` (text).
"""
