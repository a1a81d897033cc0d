"""Explain the other blocks, what the heads have learned, and the stream through all blocks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.model import miniGPT
from minigpt.inside import HeadScores, head_scores, logit_lens, play_scores
from minigpt.show.explain.attention_drawn import (
    ATTENTION_TOKENS,
    last_tokens,
    most_attended,
    most_focused_head,
    row_sums,
)
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import (
    TABLE_ROWS,
    dims,
    join_words,
    n_shown,
    number,
    percent,
    quoted,
)
from minigpt.show.figures import attention_maps as attention
from minigpt.show.figures import head_table as heads
from minigpt.show.figures import lens_table as lens
from minigpt.show.figures import residual_stream as stream
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.inside import Trace
    from minigpt.text.tokenizers import Tokenizer

NAMING_THRESHOLD = 0.5
"""The share of its attention that a head must give to a relation to be named after it."""
MAX_BLOCKS = 4
"""Blocks after the first that are explained. Of more blocks, these are the first and the last."""
MAX_HEAD_CELLS = 120_000
"""Attention weights in the picture of all heads."""
RELATION_TEXTS = {
    "previous token": "looks at the token just before",
    "duplicate token": "looks at earlier copies of the same token",
    "induction": "looks at what followed an earlier copy of the same token, and so can repeat what "
    "was said",
    "start of line": "looks back to the start of the line",
    "start of the line before": "looks back to the start of the line before",
    "names of persons": "looks for names where a name comes next, at the end of a line or after "
    "“my dear”",
    "what was confessed": "looks up what was confessed when it is betrayed",
    "speaker's colon": "looks at the colons after earlier speakers, to keep their order",
}


def steps(model: miniGPT, tokenizer: Tokenizer, seen: Trace, scenes: str) -> list[Step]:
    """Explain what the other blocks do, and what all blocks do together."""
    made = _blocks(model, seen)
    made.append(_all_heads(seen))
    if found := _found(model, tokenizer, scenes):
        made.append(found)
    return [*made, _stream(seen), _lens(model, seen)]


def _blocks(model: miniGPT, seen: Trace) -> list[Step]:
    L, token = len(seen.blocks), quoted(seen.pieces[-1])
    chosen = list(range(1, L))
    if len(chosen) > MAX_BLOCKS:
        chosen = [*chosen[: MAX_BLOCKS - 1], L - 1]
    n_skipped = L - 1 - len(chosen)
    answers = logit_lens(model, seen, 1)
    made = []
    for i in chosen:
        b = seen.blocks[i]
        H = len(b.q)
        lengths = [float(np.linalg.norm(x[-1])) for x in (b.input, b.attention, b.feed_forward)]
        prose = [
            f"For {token}, the vector in the stream has length {number(lengths[0])}. Attention "
            f"adds a vector of length {number(lengths[1])}, and the neurons add one of length "
            f"{number(lengths[2])}. If the model ended after this block, it would answer "
            f"{quoted(seen.vocabulary[answers.tokens[i + 1, 0]])} "
            f"({percent(float(answers.probabilities[i + 1, 0]))})."
        ]
        if i == 1:
            prose.insert(
                0,
                "Block 1 does the same with its own matrices, but it reads a richer stream: the "
                "vector of each token now contains what block 0 gathered for it.",
            )
        if i == L - 1 and n_skipped:
            prose.insert(0, f"This page skips {counted(n_skipped, 'block')} before this one.")
        n = n_shown(H)
        part = f" ({n} of {H} heads)" if n < H else ""
        table = Table(
            f"What {token} looks at most in block {i}{part}",
            ["head", "most", "second", "third"],
            [[f"head {h}", *most_attended(seen, i, h)] for h in range(n)],
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
    n = max(4, min(ATTENTION_TOKENS, int((MAX_HEAD_CELLS / (L * H)) ** 0.5)))
    all_heads = f"are all {L * H} heads" if L * H > 1 else "is the only head"
    rows = []
    for i, b in enumerate(seen.blocks):
        h, _ = most_focused_head(b.weights)
        rows.append([f"block {i}, head {h}", *most_attended(seen, i, h)])
    return Step(
        "all-heads",
        "All heads of all blocks",
        [
            f"Here {all_heads} at once. Watch for three patterns. A line just below the diagonal: "
            "the head looks at the token before. A bright first column: the head rests on the "
            "first token, as heads do that find nothing to look for. Scattered bright spots: the "
            "head looks for something in the text itself."
        ],
        shapes=[("heads in total", "L · H", f"{L} · {H} = {L * H}")],
        pictures=[
            Picture(
                attention.attention_heads(last_tokens(seen, n)),
                f"A row of squares for each block, one square for each head. {row_sums(seen, n)}",
                Table(
                    f"Where {quoted(seen.pieces[-1])} looks: the most focused head of each block",
                    ["head", "most", "second", "third"],
                    rows,
                ),
                width=max(480, 75 * H),
            )
        ],
    )


def _found(model: miniGPT, tokenizer: Tokenizer, scenes: str) -> Step | None:
    """Return a step that names heads after what they do, or None if nothing can be measured."""
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
        for layer, head, name, score in scores.found(NAMING_THRESHOLD)
    ]
    found.sort(key=lambda each: -each[0])
    named = [
        f"Head {head} of block {layer} {RELATION_TEXTS.get(name, name)} ({name}: {percent(score)})."
        for score, layer, head, name, _ in found
        if name not in ("itself", "first token")
    ]
    n = n_shown(len(found), 2 * TABLE_ROWS)
    more = f"; {len(found) - n} more are in the pictures" if len(found) > n else ""
    prose = [
        "Nobody told the heads what to do. To find out what they have learned, we let the model "
        f"read {join_words([where for where, _ in measured])}, and measure where each head looks. "
        f"We name a head after a relation if at least {NAMING_THRESHOLD:.0%} of its attention goes "
        "there, and at least twice as much as if it looked equally at all tokens.",
        " ".join(named[:4]) if named else "No head of this model reaches this limit.",
    ]
    table = Table(
        f"Heads with {NAMING_THRESHOLD:.0%} or more of their attention on one relation{more}",
        ["head", "relation", "share", "measured on"],
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
        heads.heads(scores, NAMING_THRESHOLD),
        "Each square is a head; the number is the share of its attention that it gives to the "
        "relation.",
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
        "The stream through all blocks",
        [
            "All in all, the residual stream of a token is one long sum: its embedding, plus what "
            "each half of each block adds. A long bar is a step that adds much.",
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
    n = n_shown(T)
    only = f" The last {n} of {T} tokens are shown." if n < T else ""
    return Step(
        "lens",
        "How the answer forms",
        [
            "The last norm and the last matrix read the answer from the finished stream. We can "
            "also apply them to the unfinished stream after each block. This is called the logit "
            "lens. They were not trained for it, so early answers are a hint, not a fact.",
        ],
        pictures=[
            Picture(
                lens.lens(model, seen, n),
                "Bottom row: the answer from the embedding alone. Top row: the answer of the "
                f"model. Brighter means a higher probability.{only}",
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
