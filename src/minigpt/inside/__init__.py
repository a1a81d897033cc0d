"""Every number a model computes on one text, and what can be read from it.

`trace` takes them all: read `activations` for what there is, `record` for how it is taken,
`trace_in_words` for how it is told, `trace_file` for how it is kept. `slow_step` is one training
step. Both record a pass by a `tap`.

The others ask one question each, in plain NumPy. `lens`: what would each layer answer?
`attribution`: who wrote this logit? `surprise`: where was the model wrong? `heads`: which head does
something that has a name? `neurons`: what fires a neuron? `pca`: how do vectors lie to each other?
`ablation`: and without this head? `minigpt.show.figures` draws the answers.
"""

from minigpt.inside import trace_file, trace_in_words  # they give `Trace` its methods
from minigpt.inside.ablation import without_heads
from minigpt.inside.activations import Activations, BlockActivations, Target, Trace
from minigpt.inside.attribution import Attribution, attribute
from minigpt.inside.heads import HeadScores, head_scores, relations, repeated_tokens, score_heads
from minigpt.inside.lens import Lens, logit_lens
from minigpt.inside.neurons import most_selective, neuron_activations, strongest
from minigpt.inside.pca import PCA, pca
from minigpt.inside.plays import play_relations, play_scores
from minigpt.inside.record import trace
from minigpt.inside.surprise import surprise

__all__ = [
    "PCA",
    "Activations",
    "Attribution",
    "BlockActivations",
    "HeadScores",
    "Lens",
    "Target",
    "Trace",
    "attribute",
    "head_scores",
    "logit_lens",
    "most_selective",
    "neuron_activations",
    "pca",
    "play_relations",
    "play_scores",
    "relations",
    "repeated_tokens",
    "score_heads",
    "strongest",
    "surprise",
    "trace",
    "trace_file",
    "trace_in_words",
    "without_heads",
]
