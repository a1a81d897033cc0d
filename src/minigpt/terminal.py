"""What goes to a terminal, in few words and safely."""

import sys


def say(text: str) -> None:
    """Tell how things go, on stderr."""
    print(text, file=sys.stderr, flush=True)


def visible(text: str) -> str:
    """Show control characters by their pictures: a model may write some, a terminal obeys them."""
    return text.translate({code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"})
