"""All that `import minigpt` gives: each name is imported from its module when it is first used."""

__version__: str

from . import check as check
from . import corpus as corpus
from . import data as data
from . import functional as functional
from . import layers as layers
from . import model as model
from . import optim as optim
from . import tokenizers as tokenizers
from .check import GradientCheck, check_gradients
from .completion import Completion, complete, stream_text
from .data import Corpus, Dataset, get_batch, load_corpus, split_text, token_array
from .evaluation import Evaluation, evaluate
from .functional import cross_entropy, softmax
from .generation import generate, stream
from .layers import (
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
from .model import miniGPT
from .optim import SGD, AdamW, clip_gradients, warmup_cosine
from .sampling import Sampling
from .settings import PRESETS, Settings, preset
from .tokenizers import (
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    load_tokenizer,
)
from .tracing import Target, Trace, trace
from .training import Step, TrainingDiverged, train

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
