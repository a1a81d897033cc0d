"""Error checks of the model, its optimizers and its cache."""

from typing import Any

import numpy as np

from minigpt.core.checks import (
    check_amount,
    check_fraction,
    check_has,
    check_numbers,
    check_sizes,
)
from minigpt.core.checks_arrays import Floats, check_floats, check_ids, check_writable


def check_model(model: Any) -> None:
    """Raise unless `model` is a miniGPT whose parts are layers; see `is_part`."""
    check_has("model", model, "blocks", "a miniGPT")
    if not hasattr(model, "slots"):
        return
    slots, flat = list(model.slots()), vars(model).get("flat")
    for path, owner, name in slots if flat is not None else []:
        asked_for = getattr(owner, f"d_{name}") is not None
        if asked_for and not np.may_share_memory(getattr(owner, name), flat.params):
            raise ValueError(
                f"{path} came into the model after its parameters were laid flat, so it would not "
                "be trained: replace layers before the first use of params() or of an optimizer, "
                "or go on with copy.deepcopy(model)"
            )


def is_part(value: Any, layer: Any) -> bool:
    """Return whether `value` is a layer inside another one.

    Raise if it only looks like one: its parameters would not be found, and so not be trained.
    """
    kind = type(value)
    if isinstance(value, layer):
        if kind.params is not layer.params:
            found = {path for path, _, _ in value.slots()}
            if missed := [name for name in value.params() if name not in found]:
                raise TypeError(
                    f"{kind.__name__}.params() has {missed[0]!r}, which a model does not find: "
                    "make it an attribute of this name, its gradient d_…, and list the name in "
                    "the class's parameter_names"
                )
        return True
    if callable(getattr(kind, "forward", None)) and callable(getattr(kind, "backward", None)):
        raise TypeError(
            f"{kind.__name__} is not a minigpt.core.layers.Layer, so a model would not train its "
            "parameters: derive it from Layer, and list their names in parameter_names"
        )
    return False


def check_heads(d_model: Any, n_heads: Any) -> None:
    """Raise unless `d_model` can be divided evenly among `n_heads`."""
    check_sizes(d_model=d_model, n_heads=n_heads)
    if d_model % n_heads:
        nearest = " or ".join(
            f"{n * n_heads}" for n in (d_model // n_heads, d_model // n_heads + 1) if n
        )
        raise ValueError(
            f"d_model must be a multiple of n_heads, got d_model={d_model}, n_heads={n_heads}: "
            f"choose {nearest}"
        )


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as a NumPy dtype if a model can have it, or raise."""
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r:.100}")
    return np.dtype(dtype)


def check_batch_ids(ids: Any, vocab_size: int, room: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Return `ids` as an integer array (B, T), or raise.

    T may be at most `room`, the number of positions that are left in the context.
    """
    array = check_ids(ids, vocab_size)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"ids must have the shape (batch, time), got shape {array.shape}")
    if array.shape[1] > room:
        raise ValueError(
            f"{array.shape[1]} tokens do not fit into the context, which has room for {room}: "
            "pass only the last ones, or create the model with a larger max_len"
        )
    return array


def check_positions(T: int, max_len: int) -> None:
    """Raise unless there is a position for each of `T` tokens."""
    if max_len < T:
        raise ValueError(f"{T} tokens are more than max_len = {max_len}")


def check_has_loss(kept: Any) -> tuple[Floats, Floats]:
    """Return the logits and targets of the latest forward pass, or raise if it had no targets."""
    if kept is None or kept[1] is None:
        raise RuntimeError("backward() needs a loss: call forward(ids, targets=...) first")
    return kept


def check_adamw(model: Any, beta1: Any, beta2: Any, weight_decay: Any, eps: Any) -> None:
    """Raise unless these arguments of AdamW are valid."""
    check_model(model)
    check_fraction(beta1=beta1, beta2=beta2)
    check_amount(weight_decay=weight_decay, eps=eps)
    if eps == 0:
        raise ValueError("eps must be more than 0: it keeps the division finite")


def check_step(learning_rate: Any, t: int = 1, n_remembered: int = 0, n_params: int = 0) -> None:
    """Raise unless an optimizer can take step `t` with this learning rate.

    Its state holds `n_remembered` numbers, one for each parameter; the model now trains `n_params`.
    """
    check_amount(learning_rate=learning_rate)
    if t < 1:  # only a damaged file leads here
        raise ValueError(f"the optimizer's number of steps must be at least 0, got {t - 1}")
    if n_remembered != n_params:
        raise ValueError(
            f"this optimizer was created for {n_remembered:,} parameters, but the model now trains "
            f"{n_params:,}: create a new optimizer after freezing"
        )


def check_clipping(grads: Any, max_norm: Any) -> None:
    """Raise unless `grads` is a flat array that can be clipped in place to `max_norm`."""
    if check_floats(grads, "grads").ndim != 1:
        raise ValueError(f"grads must be one flat array (n,), got shape {grads.shape}")
    check_numbers(max_norm=max_norm)
    if not max_norm > 0:
        raise ValueError(f"max_norm must be more than 0, got {max_norm}")
    check_writable(grads, "grads")


def check_cache_shape(shape: Any) -> None:
    """Raise unless `shape` is (B, H, max_len, D)."""
    if np.shape(shape) != (4,):
        raise ValueError(f"shape must be (B, H, max_len, D), got {shape!r:.100}")
    B, H, max_len, D = shape
    check_sizes(batch_size=B, n_heads=H, max_len=max_len, head_size=D)


def check_fits_cache(shape: tuple[int, ...], cache_shape: tuple[int, ...], length: int) -> None:
    """Raise unless keys of `shape` fit a cache of `cache_shape` that holds `length` tokens."""
    B, H, max_len, D = cache_shape
    if (shape[0], shape[1], shape[3]) != (B, H, D) or length + shape[2] > max_len:
        raise ValueError(
            f"this cache is for {B} texts of {max_len} tokens, {H} heads of {D} numbers, and holds "
            f"{length} tokens: keys of shape {shape} do not fit"
        )
