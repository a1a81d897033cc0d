"""Record every number that a model computes on one text, and analyse them.

`trace` records a forward pass, and a backward pass if asked. Read `activations` for what a trace
holds, `record` for how it is recorded, `trace_in_words` for its printed form and `trace_file` for
its file. `slow_step` records one training step. Both use a `tap`.

Each other module answers one question, in plain NumPy:

- `lens`: what would the model answer after each block?
- `attribution`: how much does each part of the model add to a logit?
- `surprise`: which tokens did the model not expect?
- `heads` and `plays`: which heads do something that has a name?
- `neurons`: which tokens activate a neuron?
- `pca`: which vectors are close to each other?
- `ablation`: what would the model answer without some heads?

`minigpt.show.figures` draws the answers.
"""

from minigpt.inside import trace_file, trace_in_words  # these add methods to `Trace`
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
