"""Pictures: functions that make a Plotly figure, each useful alone.

Of a `minigpt.Trace`: `tokens`, `attention`, `probabilities`, `lens`, `stream`, `attribution`,
`surprise`. Of a model: `embeddings`, `neurons`, `heads`. Of runs: `training`, `layers`,
`checkpoints`. They draw what `minigpt.inside` and `minigpt.runs` find.
"""
