"""An author of plays who knows how surprising each of their words is.

The author works through a grammar of templates (see `grammar`). Wherever there are n ways to
continue, each one is chosen with probability 1/n. Such a choice has a surprise of log n nats, and a
scene has the probability

    p(scene) = Π 1/n        − log p(scene) = Σ log n        over all choices made in it.

This is a floor under the loss of every model that learns from the plays, in bits per character:

    H = − log2 p(text) / characters

If a model assigns the probability q to a text, the ratio q/p has the mean 1 over all texts that the
author might have written. So the probability that − log q is at least k nats below − log p is
at most e^-k (Markov's inequality). A model reaches the floor by knowing the grammar, and gets below
it only by luck, or by having seen the text.

The sum is − log p only if each text can be written in just one way. Otherwise p is the sum over all
ways, and a model that knows this would pass the "floor". So the grammar must be unambiguous. This
one is, because it is a prefix code: where there are several ways to continue, the text of one never
begins with the text of another. So a reader who goes from left to right always knows what the
author chose. The tests prove it.
"""

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from minigpt.support.brief import brief
from minigpt.text.corpus.grammar import REMEMBERED, RULES

MIN_SIZE = 20_000  # characters: so a tenth always contains at least one whole scene


@dataclass(frozen=True)
class Scene:
    """One scene: its text, which ends with a blank line, and its surprise − log p(text) in nats."""

    text: str
    nats: float

    __repr__ = brief


@dataclass(frozen=True)
class Plays:
    """A corpus of scenes in two parts, with the lowest possible loss on each part.

    Attributes
    ----------
    train, val : the text to learn from, and the text to be examined on; both are whole scenes.
    train_nats, val_nats : − log p of each text, in nats.
    """

    train: str
    val: str
    train_nats: float
    val_nats: float

    __repr__ = brief

    @property
    def text(self) -> str:
        """The text of both parts."""
        return self.train + self.val

    @property
    def train_floor(self) -> float:
        """The lowest possible loss on `train`, in bits per character."""
        return self.train_nats / math.log(2) / len(self.train)

    @property
    def floor(self) -> float:
        """The lowest possible loss on `val`, in bits per character."""
        return self.val_nats / math.log(2) / len(self.val)


def plays(size: int = 1_200_000, seed: int = 0) -> Plays:
    """Write as many scenes as fit into `size` characters; the last tenth is for validation.

    The text is ASCII. A seed always produces the same text, in every version, and a larger size
    begins with the same scenes.

    Parameters
    ----------
    size : maximum number of characters, at least 20,000; the text is less than a scene shorter.
    seed : an integer from 0, which selects the plays.

    Raises
    ------
    TypeError, ValueError
        If `size` or `seed` is not an integer, or is too small.
    """
    _check("size", size, MIN_SIZE)
    parts: tuple[list[Scene], list[Scene]] = [], []
    end = 0
    for scene in scenes(seed):
        end += len(scene.text)
        if end > size:
            break
        parts[10 * end > 9 * size].append(scene)
    (train, train_nats), (val, val_nats) = map(_join, parts)
    return Plays(train, val, train_nats, val_nats)


def scenes(seed: int = 0) -> Iterator[Scene]:
    """Yield one scene after another, without end."""
    _check("seed", seed, 0)
    # Of the functions in `random`, only random() is guaranteed to stay the same in later versions.
    draw = random.Random(seed).random
    return (Author(draw).write() for _ in itertools.count())


class Author(dict[str, str]):
    """Writes one scene; as a dictionary, it holds what this scene has drawn and may mention again.

    `str.format_map` looks up the fields of a template in this dictionary, from left to right. If a
    field is not there yet, `__missing__` draws it.

    Parameters
    ----------
    draw : function that returns random numbers, uniform in [0, 1).

    Attributes
    ----------
    nats : the surprise of all choices so far.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.draw = draw
        self.nats = 0.0

    def write(self) -> Scene:
        """Write the scene."""
        text = self["scene"]
        return Scene(re.sub(r"\b([Aa])(?= [aeiou])", r"\1n", text), self.nats)

    def __missing__(self, field: str) -> str:
        if field not in REMEMBERED:
            return self.expand(self.choose(RULES[field]))
        taken = self.values()  # two people in a scene never have the same name
        options = [word for word in RULES[REMEMBERED[field]] if word not in taken]
        self[field] = self.expand(self.choose(options))
        return self[field]

    def choose(self, options: Sequence[str]) -> str:
        """Return one of the options, all equally likely, and add its surprise to `nats`."""
        self.nats += math.log(len(options))
        return options[int(self.draw() * len(options))]

    def expand(self, template: str) -> str:
        """Return a template with its fields filled in, or a word without fields unchanged."""
        return template.format_map(self) if "{" in template else template


def _join(scenes: list[Scene]) -> tuple[str, float]:
    return "".join(scene.text for scene in scenes), math.fsum(scene.nats for scene in scenes)


def _check(name: str, value: int, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, got {value}")
