"""The HTML with which a tokenizer, a trace, a training step and others appear in a notebook.

It is small and has no scripts. All foreign text, such as the pieces of tokens, is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minigpt.core.model import miniGPT
from minigpt.inside import Attribution, HeadScores, Trace
from minigpt.inside.pieces import pieces, visible
from minigpt.show.summary import about, rows
from minigpt.support.brief import brief_value, values_of
from minigpt.support.wording import counted, decimal, percent, spelling_note
from minigpt.text.completion import Completion
from minigpt.text.tokenizers import Tokenizer
from minigpt.training.evaluation import Evaluation
from minigpt.training.loop import Step

COLOURS = (
    ("#0072b2", "#fff"),
    ("#d55e00", "#000"),
    ("#009e73", "#000"),
    ("#cc79a7", "#000"),
    ("#e69f00", "#000"),
    ("#56b4e9", "#000"),
)
"""Pairs of background and text: `minigpt.show.figures.style.PALETTE`, and what is legible on it."""
TOKENS_IN_HTML = 300
"""Tokens that are shown of a text: the last ones."""


def coloured(pieces: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each piece as it is shown, and a colour number; equal pieces get equal colours."""
    order: dict[str, int] = {}
    for piece in pieces:
        yield visible(piece), order.setdefault(piece, len(order)) % len(COLOURS)


def tokens(pieces: Sequence[str]) -> str:
    """Return pieces as coloured cells."""
    cells = []
    for piece, number in coloured(pieces):
        ground, ink = COLOURS[number]
        cells.append(
            f'<span style="background:{ground};color:{ink};padding:1px 3px;margin-right:2px;'
            f'border-radius:3px;white-space:pre">{html.escape(piece)}</span><wbr>'
        )
    return f'<div style="font-family:monospace;line-height:1.9">{"".join(cells)}</div>'


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with headings."""

    def line(tag: str, cells: Sequence[str]) -> str:
        content = "".join(
            f'<{tag} style="text-align:{"right" if i == len(cells) - 1 else "left"}">'
            f"{html.escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{content}</tr>"

    body = "".join(line("td", row) for row in rows)
    return (
        f'<table><caption style="text-align:left">{html.escape(caption)}</caption>'
        f"<thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"
    )


def tokenizer_html(tokenizer: Tokenizer) -> str:
    """Return the size of the vocabulary, and some of its tokens."""
    known = repr(tokenizer)
    if known.endswith("(untrained)"):
        return f"<code>{html.escape(known)}</code>"
    n = tokenizer.vocab_size
    some = range(0, n, max(1, n // 40))
    shown = tokens(pieces(tokenizer, list(some)))
    every = "" if len(some) == n else f", every {some.step}th"
    return f"<code>{html.escape(known)}</code><div>tokens{every}:</div>{shown}"


def trace_html(trace: Trace) -> str:
    """Return the coloured tokens, the likeliest next ones, and the shapes of all activations."""
    T = len(trace.ids)
    left_out = max(0, T - TOKENS_IN_HTML) + trace.n_dropped
    before = f"<div>… {left_out} before</div>" if left_out else ""
    block = trace.blocks[0]
    shapes = [(name, str(getattr(trace, name).shape)) for name in ("ids", "embedding")]
    shapes += [(f"blocks[i].{name}", str(array.shape)) for name, array in vars(block).items()]
    shapes += [(name, str(getattr(trace, name).shape)) for name in ("final_norm", "logits")]
    answers = [(f"“{visible(piece)}”", percent(p, 1)) for _, piece, p in trace.top(5)]
    return (
        f"{before}{tokens(trace.pieces[-TOKENS_IN_HTML:])}"
        + table("What comes next", ("token", "probability"), answers)
        + f"<details><summary>{counted(T, 'token')}, {counted(len(trace.blocks), 'block')}: "
        "all shapes</summary>" + table("Activations", ("name", "shape"), shapes) + "</details>"
    )


def step_html(step: Step) -> str:
    """Return a training step in one line, and its sample if it has one."""
    parts = [f"<b>step {step.number}</b>"]
    for loss, validation, unit, digits in (
        (step.loss, step.val_loss, "nats per token", 4),
        (step.loss_bits, step.val_bits, "bits per character", 3),
    ):
        if loss is not None:
            val = "" if validation is None else f", validation {decimal(validation, digits)}"
            parts.append(f"training {decimal(loss, digits)}{val} {unit}")
    if step.spelling_bits:
        parts.append(spelling_note(step.spelling_bits))
    parts.append(f"{step.tokens_per_second:,.0f} tokens/s")
    sample = "" if step.sample is None else f"<pre>{html.escape(step.sample)}</pre>"
    return f"<div>{' · '.join(parts)}</div>{sample}"


def completion_html(completion: Completion) -> str:
    """Return the prompt, the text that the model wrote, and why it ended."""
    prompt, text = html.escape(completion.prompt), html.escape(completion.text)
    reason = html.escape(completion.finish_reason)
    length = counted(len(completion.ids), "token")
    return (
        f'<pre style="white-space:pre-wrap"><b>{prompt}</b>{text}</pre>'
        f"<div>{length}; why it ended: {reason}</div>"
    )


def evaluation_html(evaluation: Evaluation) -> str:
    """Return a loss in all its units."""
    rows = [
        ("nats per token", decimal(evaluation.loss, 4)),
        ("perplexity per token", decimal(evaluation.perplexity)),
        ("perplexity per word", decimal(evaluation.word_perplexity)),
        ("bits per byte", decimal(evaluation.bits_per_byte, 3)),
        ("bits per character", decimal(evaluation.bits_per_character, 3)),
    ]
    if evaluation.spelling:
        rows.append(("of these, to spell unknown words", decimal(evaluation.spelling_bits, 3)))
    return table(f"Loss on {counted(evaluation.n_tokens, 'token')}", ("unit", ""), rows)


def attribution_html(attribution: Attribution, n_parts: int = 12) -> str:
    """Return the largest parts of a logit."""
    parts = sorted(attribution.parts().items(), key=lambda part: -abs(part[1]))
    caption = f"Logit {decimal(attribution.logit, 3)}: the largest of {len(parts)} parts"
    return table(caption, ("part", ""), [(name, f"{part:+.3f}") for name, part in parts[:n_parts]])


def heads_html(scores: HeadScores) -> str:
    """Return the heads that do something that has a name."""
    found = [
        (f"{layer}.{head}", name, percent(score)) for layer, head, name, score in scores.found()
    ]
    n_heads = scores.values[0].size
    caption = f"{len(found)} of {counted(n_heads, 'head')} do something that has a name"
    return table(caption, ("head", "what it does", "share of its attention"), found)


def record_html(record: Any) -> str:
    """Return a dataclass or NamedTuple as a table of its values."""
    rows = [(name, brief_value(value)) for name, value in values_of(record).items()]
    return table(type(record).__name__, ("", ""), rows)


def model_html(model: miniGPT) -> str:
    """Return a model as a table of its parameters."""
    head, *body = rows(model)
    return table(about(model), head, body)


DISPLAYS: dict[type, Callable[[Any], str]] = {
    miniGPT: model_html,
    Tokenizer: tokenizer_html,
    Trace: trace_html,
    Step: step_html,
    Completion: completion_html,
    Evaluation: evaluation_html,
    Attribution: attribution_html,
    HeadScores: heads_html,
}


def to_html(shown: Any) -> str:
    """Return an object as HTML, with the display of its class."""
    kinds = (DISPLAYS[kind] for kind in type(shown).__mro__ if kind in DISPLAYS)
    return next(kinds, record_html)(shown)
