"""Mark a lesson again whenever its file is saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from minigpt.course.keys import pressed

KEYS = "keys: h hint, n next, l list, q quit"
WAIT = 200
"""Milliseconds between two looks at the keyboard."""


def events(folder: Path, poll: bool = False) -> Iterator[str]:
    """Yield "7" when lesson_07.py was saved, and each key that is pressed.

    Parameters
    ----------
    folder : the learner's.
    poll : look at the files again and again, where the system does not report changes.

    Raises
    ------
    ImportError
        If watchfiles is not installed.
    """
    from watchfiles import watch

    changes = watch(
        folder, force_polling=poll or None, rust_timeout=WAIT, yield_on_timeout=True,
        raise_interrupt=True, recursive=False, step=50, debounce=200,
    )  # fmt: skip
    with pressed() as key:
        for changed in changes:
            names = sorted({Path(path).name for _, path in changed})
            found = [re.fullmatch(r"lesson_(\d\d)\.py", name) for name in names]
            yield from (str(int(match[1])) for match in found if match)
            while pressed_key := key():
                yield pressed_key
