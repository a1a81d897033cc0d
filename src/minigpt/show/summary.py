"""A model as a table: its layers, and the shapes and sizes of their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.layers import Layer
    from minigpt.core.model import miniGPT

Row = tuple[str, str, str, str]


def summary(model: miniGPT) -> str:
    """Describe `model` as a table. All blocks after the first are alike, and share one row."""
    table = rows(model)
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    lines = [about(model), ""]
    for row in table:
        *texts, number = row
        cells = [text.ljust(width) for text, width in zip(texts, widths, strict=False)]
        lines.append("  ".join([*cells, number.rjust(widths[-1])]))
    rule = "─" * len(lines[-1])
    lines.insert(3, rule)
    lines.insert(-1, rule)
    return "\n".join(lines)


def about(model: miniGPT) -> str:
    """Describe `model` in one line."""
    return (
        f"miniGPT: {counted(model.n_layers, 'layer')}, {counted(model.n_heads, 'head')}, "
        f"d_model {model.d_model}, d_ff {model.d_ff}, {model.activation}, context {model.max_len}, "
        f"vocabulary {model.vocab_size}, {model.dtype}"
    )


def rows(model: miniGPT) -> list[Row]:
    """Return the rows of the table: headings, parameters, total."""
    rows: list[Row] = [("layer", "parameter", "shape", "numbers")]
    for path, layer, name in model.slots():
        if not path.startswith("blocks.") or path.startswith("blocks.0."):
            value = getattr(layer, name)
            owner = path.removesuffix(f".{name}")
            kind = f"{owner} ({type(layer).__name__})"
            rows.append((kind, name, str(value.shape), f"{value.size:,}"))
    last_of_block = max(i for i, row in enumerate(rows) if row[0].startswith("blocks.0."))
    if model.n_layers > 1:
        per_block = n_parameters(model.blocks[0])
        others = "blocks.1" if model.n_layers == 2 else f"blocks.1 … blocks.{model.n_layers - 1}"
        rows.insert(
            last_of_block + 1, (others, "as blocks.0", "", f"{(model.n_layers - 1) * per_block:,}")
        )
    if model.tie_weights:
        rows.append(("head (Linear)", "weight", "token_embedding's, transposed", "0"))
    return [*rows, ("all", "", "", f"{n_parameters(model):,}")]


def n_parameters(layer: Layer) -> int:
    """Return the number of parameters of a layer or model, without building its flat array."""
    return sum(getattr(owner, name).size for _, owner, name in layer.slots())
