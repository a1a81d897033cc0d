"""The built-in corpus: short comic scenes from a grammar, with an exact floor under every loss.

Read `author` first, for how a scene is written and what its surprise is, then `grammar`, for what
is in the scenes, and `words`, for the words.
"""

from minigpt.text.corpus.author import Plays, Scene, plays, scenes

__all__ = ["Plays", "Scene", "plays", "scenes"]
