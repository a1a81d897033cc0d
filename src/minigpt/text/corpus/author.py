"""An author of plays who knows how surprising every word of them is.

The author works through a grammar of templates (see `grammar`) and, wherever there are
n ways to go on, takes each with probability 1/n. A choice is worth log n nats of surprise, and a
scene has the probability

    p(scene) = Π 1/n        − log p(scene) = Σ log n        over all choices made in it.

That makes a floor for every model that learns from the plays, here in bits per character:

    H = − log2 p(text) / characters

For a model that gives the text the probability q, the ratio q/p has the mean 1 over all texts the
author might have written. So the chance is at most e^-k that − log q comes out k nats below
− log p (Markov's inequality): a model meets the floor by knowing the grammar, and gets beneath it
only by luck, or by having seen the text.

The sum is − log p only if no text can come about in two ways; else p is the sum over all of them,
and a model that knows it would pass the "floor". So the grammar must be unambiguous. This one is,
because it is a prefix code: of two ways to go on, neither begins as the other does in full, and a
reader going from left to right always knows what the author chose. The tests prove it.
"""

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from minigpt.support.brief import brief
from minigpt.text.corpus.grammar import REMEMBERED, RULES

MIN_SIZE = 20_000  # characters: a tenth of it holds a whole scene wherever the scenes happen to end


@dataclass(frozen=True)
class Scene:
    """One scene: its text, ending with a blank line, and its surprise − log p(text) in nats."""

    text: str
    nats: float

    __repr__ = brief


@dataclass(frozen=True)
class Plays:
    """A corpus of scenes in two parts, with the lowest loss possible on each.

    Attributes
    ----------
    train, val : the text to learn from, and the text to be examined on; both whole scenes.
    train_nats, val_nats : − log p of each, in nats.
    """

    train: str
    val: str
    train_nats: float
    val_nats: float

    __repr__ = brief

    @property
    def text(self) -> str:
        """Both parts in one."""
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
    """Write plays: as many scenes as fit into `size` characters, the last tenth for validation.

    The text is ASCII, and for a seed the same for ever; a larger size begins with the same scenes.

    Parameters
    ----------
    size : characters at most, and less than a scene fewer; from 20,000 on.
    seed : which plays; a whole number from 0 on.

    Raises
    ------
    TypeError, ValueError
        If `size` or `seed` is no whole number, or too small.
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
    """Write one scene after another, without end."""
    _check("seed", seed, 0)
    # Of all that `random` offers, only random() is promised to stay the same in later versions.
    draw = random.Random(seed).random
    return (Author(draw).write() for _ in itertools.count())


class Author(dict[str, str]):
    """Writes one scene; as a dictionary, it is what has been drawn and may come up again.

    `str.format_map` looks up the fields of a template here from left to right. What is not here
    yet, `__missing__` draws.

    Parameters
    ----------
    draw : gives random numbers, uniform in [0, 1).

    Attributes
    ----------
    nats : the surprise of all choices up to now.
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
        taken = self.values()  # no two people of a scene have the same name
        options = [word for word in RULES[REMEMBERED[field]] if word not in taken]
        self[field] = self.expand(self.choose(options))
        return self[field]

    def choose(self, options: Sequence[str]) -> str:
        """Choose one of the options, all equally likely, and add up the surprise."""
        self.nats += math.log(len(options))
        return options[int(self.draw() * len(options))]

    def expand(self, template: str) -> str:
        """Fill in the fields of a template; a word without fields stays what it is."""
        return template.format_map(self) if "{" in template else template


def _join(scenes: list[Scene]) -> tuple[str, float]:
    return "".join(scene.text for scene in scenes), math.fsum(scene.nats for scene in scenes)


def _check(name: str, value: int, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, got {value}")
