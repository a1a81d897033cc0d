"""The blocks after the first, what heads have learned, and the stream through all of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.model import miniGPT
from minigpt.inside import HeadScores, head_scores, logit_lens, play_scores
from minigpt.show.explain.attention_drawn import (
    ATTENTION_TOKENS,
    looks,
    only_last,
    telling_head,
    window,
)
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import ROWS, dims, listed, number, percent, quoted, shown
from minigpt.show.figures import attention_maps as attention
from minigpt.show.figures import head_table as heads
from minigpt.show.figures import lens_table as lens
from minigpt.show.figures import residual_stream as stream
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.inside import Trace
    from minigpt.text.tokenizers import Tokenizer

THRESHOLD = 0.5
"""The part of its attention a head must spend on a relation to be named after it."""
BLOCKS = 4
"""Blocks after the first that are told about; of more, the first ones and the last."""
CELLS = 120_000
"""Weights in the picture of all heads."""
MEANING = {
    "previous token": "looks at the token just before",
    "duplicate token": "looks at an earlier place of the same token",
    "induction": "looks at what came after an earlier place of the same token, and so can say "
    "again what was said",
    "first token": "rests on the first token, as heads do that have nothing to say just now",
    "itself": "looks at the token it stands on",
    "start of line": "looks back to where the line began",
    "start of the line before": "looks back to where the line before began",
    "names of persons": "looks for names where a name is due, at the end of a line or after “my "
    "dear”",
    "what was confessed": "looks up what was confessed when it is betrayed",
    "speaker's colon": "looks at the colons after the speakers before, to keep their order",
}


def steps(model: miniGPT, tokenizer: Tokenizer, seen: Trace, scenes: str) -> list[Step]:
    """Explain what the other blocks do, and what can be said of all."""
    made = _blocks(model, seen)
    made.append(_all_heads(seen))
    if found := _found(model, tokenizer, scenes):
        made.append(found)
    return [*made, _stream(seen), _lens(model, seen)]


def _blocks(model: miniGPT, seen: Trace) -> list[Step]:
    L, token = len(seen.blocks), quoted(seen.pieces[-1])
    chosen = list(range(1, L))
    if len(chosen) > BLOCKS:
        chosen = [*chosen[: BLOCKS - 1], L - 1]
    guesses = logit_lens(model, seen, 1)
    made = []
    for i in chosen:
        b = seen.blocks[i]
        H = len(b.q)
        lengths = [float(np.linalg.norm(x[-1])) for x in (b.input, b.attention, b.feed_forward)]
        prose = [
            f"For {token}, attention adds a vector of length {number(lengths[1])} and the neurons "
            f"one of {number(lengths[2])} to a stream of length {number(lengths[0])}. If the model "
            f"ended here, it would answer {quoted(seen.vocabulary[guesses.tokens[i + 1, 0]])} "
            f"({percent(float(guesses.probabilities[i + 1, 0]))})."
        ]
        if i == 1:
            prose.insert(
                0,
                "Block 1 does the same with matrices of its own, but the stream it reads is "
                "richer: each token now holds what block 0 gathered for it.",
            )
        if i == L - 1 and len(chosen) < L - 1:
            prose.insert(
                0, f"The {counted(L - 1 - len(chosen), 'block')} between are left out here."
            )
        n = shown(H)
        part = f" ({n} of {H} heads)" if n < H else ""
        table = Table(
            f"What {token} looks at most in block {i}{part}",
            ["head", "most", "second", "third"],
            [[f"head {h}", *looks(seen, i, h)] for h in range(n)],
        )
        made.append(
            Step(
                f"block-{i}",
                f"Block {i}",
                prose,
                shapes=[("in and out", "(T, C)", dims(b.output))],
                tables=[table],
                code=[miniGPT.hidden] if i == chosen[0] else (),
            )
        )
    return made


def _all_heads(seen: Trace) -> Step:
    L, H = len(seen.blocks), len(seen.blocks[0].q)
    n = max(4, min(ATTENTION_TOKENS, int((CELLS / (L * H)) ** 0.5)))
    all_heads = f"are all {L * H} heads" if L * H > 1 else "is the only head"
    rows = []
    for i, b in enumerate(seen.blocks):
        h, _ = telling_head(b.weights)
        rows.append([f"block {i}, head {h}", *looks(seen, i, h)])
    return Step(
        "all-heads",
        "All heads of all blocks",
        [
            f"Here {all_heads} at once. A line beside the diagonal is a head that looks "
            "at the token before; a bright first column one that rests on the first token; "
            "scattered spots look for something in the text itself."
        ],
        shapes=[("heads in all", "L · H", f"{L} · {H} = {L * H}")],
        pictures=[
            Picture(
                attention.attention_heads(window(seen, n)),
                f"A row of squares for each block, one square for each head. {only_last(seen, n)}",
                Table(
                    f"{quoted(seen.pieces[-1])} in each block: the head that looks most at one",
                    ["head", "most", "second", "third"],
                    rows,
                ),
                width=max(480, 75 * H),
            )
        ],
    )


def _found(model: miniGPT, tokenizer: Tokenizer, scenes: str) -> Step | None:
    """Name the heads that do something known, or give None where it cannot be measured."""
    measured: list[tuple[str, HeadScores]] = []
    if min(model.max_len // 2, model.vocab_size) >= 2:
        measured.append(("repeated random tokens", head_scores(model, n_texts=2)))
    if scenes:
        # Tokens smaller than words have no names of persons to look for.
        with suppress(ValueError):
            measured.append(("scenes of the plays", play_scores(model, tokenizer, scenes, 20)))
    if not measured:
        return None
    found = [
        (score, layer, head, name, where)
        for where, scores in measured
        for layer, head, name, score in scores.found(THRESHOLD)
    ]
    found.sort(key=lambda each: -each[0])
    named = [
        f"Head {head} of block {layer} {MEANING.get(name, name)} ({name}: {percent(score)})."
        for score, layer, head, name, _ in found
        if name not in ("itself", "first token")
    ]
    n = shown(len(found), 2 * ROWS)
    more = f"; {len(found) - n} more are in the pictures" if len(found) > n else ""
    prose = [
        "Nobody told the heads what to do. To find out what they have learned, we let the model "
        f"read {listed([where for where, _ in measured])} and measure where each head looks. We "
        f"name a head if at least {THRESHOLD:.0%} of its attention, and twice what an even look at "
        "all tokens would give, goes to one relation.",
        " ".join(named[:4]) if named else "No head of this model does one of these so clearly.",
    ]
    table = Table(
        f"Heads found: {THRESHOLD:.0%} of their attention or more{more}",
        ["head", "what it looks at", "share", "measured on"],
        [
            [f"block {layer}, head {head}", name, percent(score), where]
            for score, layer, head, name, where in found[:n]
        ],
    )
    return Step(
        "found",
        "What heads have learned",
        prose,
        tables=[table] if found else (),
        pictures=[_scores(where, scores) for where, scores in measured],
        code=[HeadScores.found],
    )


def _scores(where: str, scores: HeadScores) -> Picture:
    R, _, H = scores.values.shape
    rows = []
    for name, values, even in zip(scores.names, scores.values, scores.even, strict=True):
        layer, head = np.unravel_index(int(values.argmax()), values.shape)
        best = percent(float(values.max()))
        rows.append([name, f"block {layer}, head {head}", best, percent(float(even))])
    return Picture(
        heads.heads(scores, THRESHOLD),
        "Each square is a head; the number is the share of its attention.",
        Table(
            f"The strongest head for each relation, on {where}",
            ["relation", "head", "share", "even attention"],
            rows,
        ),
        width=R * max(190, 36 * H),
        name=f"What heads attend to in {where}",
    )


def _stream(seen: Trace) -> Step:
    lengths = np.linalg.norm(seen.stream[:, -1], axis=-1)
    names = ["embedding"]
    added = [seen.embedding[-1]]
    for i, b in enumerate(seen.blocks):
        names += [f"attention {i}", f"neurons {i}"]
        added += [b.attention[-1], b.feed_forward[-1]]
    return Step(
        "stream",
        "The stream from bottom to top",
        [
            "Put together, the residual stream of a token is one long sum: its embedding, and "
            "what each half of each block has added. A long bar is a step that changes much.",
        ],
        ["y = x + attention 0 + neurons 0 + attention 1 + …"],
        [("stream", "(2 L + 1, T, C)", dims(seen.stream))],
        pictures=[
            Picture(
                stream.stream(seen, -1),
                "Bars: the length of what each step adds. Line: the length of the stream after it.",
                Table(
                    f"Lengths at {quoted(seen.pieces[-1])}",
                    ["step", "adds", "stream after it"],
                    [
                        [name, number(float(np.linalg.norm(x))), number(float(length))]
                        for name, x, length in zip(names, added, lengths, strict=True)
                    ],
                ),
            )
        ],
    )


def _lens(model: miniGPT, seen: Trace) -> Step:
    found = logit_lens(model, seen, 1)
    T = len(seen.ids)
    n = shown(T)
    only = f" The last {n} of {T} tokens are shown." if n < T else ""
    return Step(
        "lens",
        "How the answer forms",
        [
            "What reads the answer from the finished stream, the last norm and the last matrix, "
            "can be put on the unfinished one too. It was not trained for that, so early answers "
            "are a hint, not a fact. It is called the logit lens.",
        ],
        pictures=[
            Picture(
                lens.lens(model, seen, n),
                "Below, what the embedding alone would answer; at the top, the answer of the "
                f"model. The brighter, the surer.{only}",
                Table(
                    f"The likeliest token after {quoted(seen.pieces[-1])}",
                    ["after", "token", "probability"],
                    [
                        [
                            f"block {i - 1}" if i else "embedding",
                            quoted(seen.vocabulary[int(token[0])]),
                            percent(float(p[0])),
                        ]
                        for i, (token, p) in enumerate(
                            zip(found.tokens, found.probabilities, strict=True)
                        )
                    ],
                ),
                width=620,
            )
        ],
        code=[logit_lens],
    )
