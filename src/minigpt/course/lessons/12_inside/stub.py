"""Lesson 12: look inside, and a project. The page is lesson_12.md.

Fill in each body, then mark it:   minigpt course mark 12.1

From here on you use miniGPT itself, and its tools. Names of axes, as on the page:

    B  texts in a batch      T  tokens in a text      C  length of a token's vector
    H  heads of a layer      D  length of a head's vector, C / H
    L  layers                V  tokens to choose from

Layers and heads are counted from 0.
"""

import copy  # for 12.4
import sys

import numpy as np
from lesson_01 import cross_entropy, softmax

from minigpt import AdamW, miniGPT, trace

SYMBOLS, DISTANCE = 8, 8


def copy_texts(rng, n, distance=DISTANCE):
    """Return n texts of 16 random symbols, each of which comes again `distance` tokens later."""
    start = rng.integers(0, SYMBOLS, (n, distance))
    return np.tile(start, (1, 2 * DISTANCE))[:, : 2 * DISTANCE]


def train_copier(seed=0, n_layers=2, n_steps=300):
    """Return a miniGPT with two heads in each layer, trained on copy_texts: some seconds."""
    model = miniGPT(SYMBOLS, 2 * DISTANCE - 1, 16, 2, n_layers, seed=seed, dtype="float64")
    optimizer, rng = AdamW(model), np.random.default_rng(seed)
    for step in range(n_steps):
        ids = copy_texts(rng, 32)
        model.learn(ids[:, :-1], ids[:, 1:])
        optimizer.step(0.01 * min(1, (step + 1) / 20) * (1 - 0.9 * step / n_steps))
    return model


# 12.1 --------------------------------------------------------------------------
def distance_share(weights, distance):
    """Return how much of its attention each head gives to the token `distance` places back.

    weights : (H, T, T), the attention weights of a layer. Row i belongs to query i.
    distance : 1 or more, less than T. 1 is the token before.
    Returns shares : (H,), from 0 to 1, the mean over all queries that have such a token.
    """
    raise NotImplementedError


# 12.2 --------------------------------------------------------------------------
def induction_share(weights, ids):
    """Return how much of its attention each head gives to what followed the same token before.

    Query i looks for keys k < i with ids[k − 1] == ids[i]. Add up the weights of all of them.

    weights : (H, T, T), as in 12.1.
    ids : (T,).
    Returns shares : (H,), the mean over the queries that have at least one such key; zeros if
        there is none.
    """
    raise NotImplementedError


# 12.3 --------------------------------------------------------------------------
def lens(model, seen):
    """Return what the model would say after each block, and how surely.

    Take the stream at the start and after each block, as if it were the last one: apply
    model.final_norm, then model.head, then softmax. Call their `forward`.

    model : a miniGPT.
    seen : trace(model, ids). seen.embedding is (T, C), the stream at the start; seen.blocks is a
        list, and block.output is (T, C), the stream after that block.
    Returns (tokens, probabilities) : both (L + 1, T). The likeliest next token after each token,
        and its probability.
    """
    raise NotImplementedError


# 12.4 --------------------------------------------------------------------------
def switch_off(model, layer, head):
    """Return a copy of the model in which one head adds nothing. The model stays as it is.

    model.blocks[layer].attention.projection.weight is W_o, (C, C): y = joined W_o + b_o, where
    `joined` has the D numbers of each head, side by side. model.d_model is C, model.n_heads is H.
    `copy.deepcopy` copies a model.
    """
    raise NotImplementedError


# 12.5 --------------------------------------------------------------------------
def losses_without(model, ids, first):
    """Return the loss of the model, and its loss without each head.

    model : a miniGPT. model.forward(x) returns (logits, None), for x (B, T).
    ids : (B, T). The model reads all tokens but the last, and guesses all but the first.
    first : only guesses of the tokens ids[:, first], ids[:, first + 1], … count. At least 1.
    Returns (base, losses) : a number, and (L, H): one head switched off, all others on.
    """
    raise NotImplementedError


# 12.6 --------------------------------------------------------------------------
def my_head():
    """Return a head of train_copier() that does something, and what happens without it.

    Find it, write down what you predict, and only then measure, on the texts
    copy_texts(np.random.default_rng(1000), 200), with first = 8. The end of this file helps.

    Returns (layer, head, predicted, before, after, why) : layer and head, whole numbers; the
        loss that you predicted without this head; the loss that you measured with it and without
        it; and what you think the head does, at least 15 words. Only what was measured is
        marked. A wrong prediction is welcome.
    """
    raise NotImplementedError


# 12.7 --------------------------------------------------------------------------
def place_or_content():
    """Return whether the head finds its token by place or by content.

    By content: it looks for the same token earlier in the text, and takes the next one. By place:
    it looks a fixed number of tokens back. Predict, then measure the loss on
    copy_texts(np.random.default_rng(1000), 200, 5), with first = 5.

    Returns (predicted, found, loss, why) : "place" or "content", twice; the loss of the whole
        model on these texts; and how you know, at least 15 words.
    """
    raise NotImplementedError


# 12.8 --------------------------------------------------------------------------
def project():
    """Return the report of a small experiment of your own. The page has ideas and the rubric.

    Returns a dict:
        question, change, prediction : texts, at least 8 words each.
        seeds : three different whole numbers.
        without : three numbers measured without the change, one for each seed.
        with : three numbers measured with the change, for the same seeds.
        conclusion : a text, at least 25 words, with the numbers that it rests on.
    The marker looks at this form only. A person reads the rest.
    """
    raise NotImplementedError


# Run this file, and predict before each step:
#     python FILE look     where each head looks
#     python FILE off      the loss without each head
#     python FILE move     the loss on texts that repeat after another distance
def look(model, ids):
    for layer, head in np.ndindex(model.n_layers, model.n_heads):
        weights = np.mean([trace(model, row).weights[layer] for row in ids[:20, :-1]], axis=0)
        shares = "  ".join(f"{distance_share(weights, d)[head]:.2f}" for d in range(1, 11))
        print(f"layer {layer}, head {head}, share of attention 1 to 10 tokens back:")
        print(f"    {shares}")


def off(model, ids):
    base, losses = losses_without(model, ids, DISTANCE)
    print(f"loss of the second half {base:.4f}; without one head:")
    for layer, head in np.ndindex(losses.shape):
        print(f"    layer {layer}, head {head}: {losses[layer, head]:.4f}")


def move(model, ids):
    for distance in (8, 7, 6, 5, 4):
        texts = copy_texts(np.random.default_rng(1000), len(ids), distance)
        loss, _ = losses_without(model, texts, distance)
        print(f"texts that repeat after {distance}: loss {loss:.4f}")


if __name__ == "__main__":
    steps = {"look": look, "off": off, "move": move}
    if sys.argv[1:2] and sys.argv[1] in steps:
        steps[sys.argv[1]](train_copier(), copy_texts(np.random.default_rng(1000), 200))
    else:
        print("Say which step: look, off or move.")
