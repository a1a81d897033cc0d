"""The names that `import minigpt` offers. Each is imported from its module at first use."""

__version__: str

from . import check as check
from .check import GradientCheck, check_gradients
from .core import functional as functional
from .core import layers as layers
from .core import model as model
from .core import optim as optim
from .core.functional import cross_entropy, softmax
from .core.generation import generate
from .core.layers import (
    GELU,
    Dropout,
    Embedding,
    FeedForward,
    Layer,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    TransformerBlock,
)
from .core.model import miniGPT
from .core.optim import SGD, AdamW, clip_gradients
from .core.sampling import Sampling
from .inside import Target, Trace, trace
from .text import corpus as corpus
from .text import data as data
from .text import tokenizers as tokenizers
from .text.completion import Completion, complete, stream, stream_text
from .text.data import Corpus, Dataset, get_batch, load_corpus, split_text, token_array
from .text.tokenizers import (
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    load_tokenizer,
)
from .training.evaluation import Evaluation, evaluate
from .training.loop import Step, TrainingDiverged, train
from .training.schedule import warmup_cosine
from .training.settings import PRESETS, Settings, preset

def _assemble() -> None: ...

__all__ = [
    "GELU",
    "PRESETS",
    "SGD",
    "AdamW",
    "BPETokenizer",
    "CharTokenizer",
    "Completion",
    "Corpus",
    "Dataset",
    "Dropout",
    "Embedding",
    "Evaluation",
    "FeedForward",
    "GradientCheck",
    "Layer",
    "LayerNorm",
    "Linear",
    "MultiHeadAttention",
    "PositionalEncoding",
    "ReLU",
    "Sampling",
    "Settings",
    "Step",
    "Target",
    "Tokenizer",
    "Trace",
    "TrainingDiverged",
    "TransformerBlock",
    "WordTokenizer",
    "check_gradients",
    "clip_gradients",
    "complete",
    "cross_entropy",
    "evaluate",
    "generate",
    "get_batch",
    "load_corpus",
    "load_tokenizer",
    "miniGPT",
    "preset",
    "softmax",
    "split_text",
    "stream",
    "stream_text",
    "token_array",
    "trace",
    "train",
    "warmup_cosine",
]
