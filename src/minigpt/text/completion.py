"""From prompts to texts: generate text until a stop string, an end of text or a length."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minigpt.core.checks import check_has, check_sizes, is_list
from minigpt.core.checks_model import check_model
from minigpt.core.functional import Array
from minigpt.core.generation import Choice, stream_choices
from minigpt.core.sampling import Sampling
from minigpt.support.brief import brief
from minigpt.support.displayed import as_html
from minigpt.text.token_roles import drawable, end_ids, prompt_ids

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer


def stream(
    model: miniGPT,
    context: Any,
    max_new_tokens: int,
    sampling: Sampling | None = None,
    seed: int | None = None,
    stop: int | Sequence[int] | None = None,
    allowed: Array | None = None,
) -> Iterator[Array]:
    """Yield new tokens, int (B,), as they are drawn; the parameters are those of `generate`."""
    choices = stream_choices(model, context, max_new_tokens, sampling, seed, stop, allowed)
    return (tokens for tokens, _ in choices)


@dataclass
class Completion:
    """The continuation of a prompt by a model.

    Attributes
    ----------
    prompt : the text before the continuation.
    text : the new text, without the stop string that ended it.
    ids : all tokens that were chosen.
    log_probs : the natural logarithm of the probability of each choice; see `Sampling.choose`.
    finish_reason : "stop" if a stop string or an end-of-text token ended the text, "length" if
        `max_new_tokens` were written.
    """

    prompt: str
    text: str = ""
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    finish_reason: str = "length"

    __repr__ = brief

    _repr_html_ = as_html


def complete(
    model: miniGPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    max_new_tokens: int,
    sampling: Sampling | None = None,
    n_samples: int = 1,
    stop: Sequence[str] = (),
    seed: int | None = None,
    track: Callable[[Iterable[Choice]], Iterable[Choice]] = iter,
    allow_special: bool = False,
) -> list[Completion]:
    """Continue all prompts together, as one batch.

    Parameters
    ----------
    model, tokenizer : a model and its tokenizer.
    prompts : texts of any lengths. An empty prompt begins a new document, if a token of the model
        begins or ends a document.
    max_new_tokens : the maximum number of tokens to add to each prompt.
    sampling : how tokens are chosen; if None, with the probabilities of the model.
    n_samples : the number of continuations of each prompt.
    stop : strings that end a text: it ends before the first one that occurs in the new text. The
        model's own end-of-text tokens end it too (see `minigpt.text.token_roles.end_ids`).
    seed : an integer for the same choices each time.
    track : iterates over the choices, and may show the progress, as rich.progress.track does.
    allow_special : whether a special token's name in a prompt, such as ``<|endoftext|>``, becomes
        that token; otherwise it is ordinary text.

    Returns
    -------
    completions : list of length len(prompts) · n_samples; those of the first prompt come first.
    """
    check_model(model)
    allowed, ends = drawable(model, tokenizer), end_ids(model, tokenizer)
    if isinstance(prompts, str):
        raise TypeError(f"prompts must be a list of texts, not one text: write [{prompts!r}]")
    if not is_list(prompts):
        raise TypeError(f"prompts must be a list of texts, got {prompts!r:.100}")
    if not len(prompts):
        raise ValueError("prompts must be a list of at least one text, got none")
    check_sizes(n_samples=n_samples)
    completions = [Completion(prompt) for prompt in prompts for _ in range(n_samples)]
    context = [prompt_ids(model, tokenizer, each.prompt, allow_special) for each in completions]
    writers = [TextWriter(tokenizer, stop, ends) for _ in completions]
    choices = stream_choices(model, context, max_new_tokens, sampling, seed, allowed=allowed)
    for tokens, log_probs in track(choices):
        for each, writer, token, log_prob in zip(
            completions, writers, tokens.tolist(), log_probs.tolist(), strict=True
        ):
            if not writer.ended:
                each.ids.append(token)
                each.log_probs.append(log_prob)
                each.text += writer.write(token)
        if all(writer.ended for writer in writers):
            break
    for each, writer in zip(completions, writers, strict=True):
        each.text += writer.close()
        each.finish_reason = "stop" if writer.ended else "length"
    return completions


def stream_text(
    tokenizer: Tokenizer,
    tokens: Iterable[int],
    stop: Sequence[str] = (),
    ends: Collection[int] | None = None,
) -> Iterator[str]:
    """Yield the text of tokens as they arrive, in whole characters only.

    The text ends before the first string of `stop` that occurs, and before the first token of
    `ends`. The default of `ends` is the tokenizer's end of text; for the end-of-text tokens of a
    model, see `minigpt.text.token_roles.end_ids`.
    """
    check_has("tokens", tokens, "__iter__", "token ids")
    return _write_all(TextWriter(tokenizer, stop, ends), tokens)


def _write_all(writer: TextWriter, tokens: Iterable[int]) -> Iterator[str]:
    for token in tokens:
        if text := writer.write(token):
            yield text
        if writer.ended:
            return
    if text := writer.close():
        yield text


class TextWriter:
    """Converts tokens to text, one after another, until a stop string occurs.

    A byte-level token may end in the middle of a character; its bytes wait for the rest of the
    character. Text that could be the beginning of a stop string waits until it is clear whether it
    is one.

    Attributes
    ----------
    ended : whether a stop string or an end-of-text token has occurred.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        stop: Sequence[str] = (),
        ends: Collection[int] | None = None,
    ) -> None:
        check_has("tokenizer", tokenizer, "token_bytes", "a Tokenizer")
        check_has("stop", stop, "__iter__", "a list of texts")
        if isinstance(stop, str) or not all(isinstance(each, str) and each for each in stop):
            raise ValueError(f"stop must be a list of texts, none of them empty, got {stop!r}")
        self.tokenizer = tokenizer
        self.stop = tuple(stop)
        self.ends = (tokenizer.end_of_text,) if ends is None else ends
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.waiting = ""
        self.ended = False

    def write(self, token: int) -> str:
        """Add a token; return the text that is now complete."""
        if token in self.ends:
            text = self.close()
            self.ended = True
            return text
        return self._release(self.decoder.decode(self.tokenizer.token_bytes(token)))

    def close(self) -> str:
        """Return the text that still waits; call this after the last token."""
        if self.ended:
            return ""
        text = self._release(self.decoder.decode(b"", final=True))
        text, self.waiting = text + self.waiting, ""
        return text

    def _release(self, more: str) -> str:
        text = self.waiting + more
        found = [place for each in self.stop if (place := text.find(each)) >= 0]
        if found:
            self.ended, self.waiting = True, ""
            return text[: min(found)]
        could_begin_a_stop = (
            n
            for each in self.stop
            for n in range(min(len(each) - 1, len(text)), 0, -1)
            if text.endswith(each[:n])
        )
        n_waiting = max(could_begin_a_stop, default=0)
        cut = len(text) - n_waiting
        self.waiting = text[cut:]
        return text[:cut]
