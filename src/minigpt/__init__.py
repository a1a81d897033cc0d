"""miniGPT: GPT from scratch in NumPy, every layer, gradient and tokenizer written by hand.

Read the source in this order: `functional`, `attention`, `layers`, `model`, `tokenizers`, `data`,
`optim`, `training`, `generation`.
"""

__version__ = "0.1.0"

from minigpt.check import GradientCheck, check_gradients
from minigpt.completion import Completion, complete, stream_text
from minigpt.data import Corpus, Dataset, get_batch, load_corpus, split_text, token_array
from minigpt.evaluation import Evaluation, evaluate
from minigpt.functional import cross_entropy, softmax
from minigpt.generation import generate, stream
from minigpt.layers import (
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
from minigpt.model import miniGPT
from minigpt.optim import SGD, AdamW, clip_gradients, warmup_cosine
from minigpt.sampling import Sampling
from minigpt.settings import PRESETS, Settings, preset
from minigpt.tokenizers import (
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    load_tokenizer,
)
from minigpt.tracing import Target, Trace, trace
from minigpt.training import Step, TrainingDiverged, train

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
