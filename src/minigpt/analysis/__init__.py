"""What can be read from a trace: plain NumPy, each file one question.

`lens`: what would each layer answer? `attribution`: who wrote this logit? `surprise`: where was
the model wrong? `heads`: which head does something that has a name? `neurons`: what fires a
neuron? `pca`: how do vectors lie to each other? `ablation`: and without this head?
`minigpt.views` draws the answers.
"""

from minigpt.analysis.ablation import without_heads
from minigpt.analysis.attribution import Attribution, attribute
from minigpt.analysis.heads import HeadScores, head_scores, relations, repeated_tokens, score_heads
from minigpt.analysis.lens import Lens, logit_lens
from minigpt.analysis.neurons import most_selective, neuron_activations, strongest
from minigpt.analysis.pca import PCA, pca
from minigpt.analysis.plays import play_relations, play_scores
from minigpt.analysis.surprise import surprise

__all__ = [
    "PCA",
    "Attribution",
    "HeadScores",
    "Lens",
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
    "without_heads",
]
