"""The built-in corpus: short comic scenes from a grammar, with an exact lower bound on the loss.

Read `author` first: it writes the scenes and computes their probabilities. Then read `grammar`,
which defines what happens in the scenes, and `words`, which lists the words.
"""

from minigpt.text.corpus.author import Plays, Scene, plays, scenes

__all__ = ["Plays", "Scene", "plays", "scenes"]
