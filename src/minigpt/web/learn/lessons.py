"""The lessons of a server, and the runs that it follows: few at once, and only while watched."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from minigpt.support.terminal import visible
from minigpt.web.problems import AGAIN, Problem

if TYPE_CHECKING:
    from minigpt.web.learn.session import Session

MAX_SESSIONS = 4
"""Lessons and followed runs at once."""
MAX_WATCHERS = 64
SECONDS_TO_PAUSE = 10.0
"""Time after which a lesson pauses, and following a run ends, if nobody watches. Reloading a page
takes less."""
SECONDS_TO_END = 600.0
"""Time after which a lesson ends if nobody watches."""


@dataclass
class _Kept:
    session: Session
    unwatched_since: float | None = field(default_factory=time.monotonic)

    @property
    def is_watched(self) -> bool:
        return len(self.session.channel) > 0

    @property
    def seconds_unwatched(self) -> float:
        if self.is_watched or self.unwatched_since is None:
            return 0.0
        return time.monotonic() - self.unwatched_since


class Lessons:
    """The lessons and followed runs of a server, by id; the id of a run is run- and its number.

    Parameters
    ----------
    folders : folders of models. Those that are run folders can be followed.
    """

    def __init__(self, folders: Sequence[str | Path] = ()) -> None:
        self._runs = [Path(folder) for folder in folders if _is_run(Path(folder))]
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def runs(self) -> list[str]:
        """Return the names of the runs that can be followed."""
        return [visible(folder.resolve().name) for folder in self._runs]

    def start(self, changes: Mapping[str, Any], text: str | None) -> str:
        """Begin a lesson (see `Lesson`), and return its id.

        Raises
        ------
        Problem
            429 if there are too many sessions and all are watched. Otherwise an unwatched one ends.
        """
        from minigpt.web.learn.lesson import Lesson

        id_ = secrets.token_hex(4)
        with self._lock:
            self._make_room()
            self._kept[id_] = _Kept(Lesson(changes, text))
        return id_

    def __getitem__(self, id_: str) -> Session:
        """Return a lesson, or the follower of a run, which begins when it is first needed.

        Raises
        ------
        Problem
            404 if there is no such lesson or run, 429 if too many others are watched.
        """
        with self._lock:
            kept = self._kept.get(id_)
            if kept is None:
                kept = self._follow(id_)
            return kept.session

    def list(self) -> list[dict[str, Any]]:
        """Return id, status, step, steps and the number of watchers of each lesson."""
        with self._lock:
            kept = {id_: each.session for id_, each in self._kept.items()}
        return [
            {"id": id_, "n_watchers": len(session.channel)}
            | {name: session.state()[name] for name in ("status", "step", "steps")}
            for id_, session in kept.items()
            if not id_.startswith("run-")
        ]

    def end(self, id_: str) -> None:
        """End a lesson, and with it the streams of its events."""
        with self._lock:
            kept = self._kept.pop(id_, None)
        if kept is None:
            raise _unknown(id_)
        kept.session.stop()

    def check_watchers(self) -> None:
        """Raise a `Problem` if too many clients watch."""
        with self._lock:
            watching = sum(len(kept.session.channel) for kept in self._kept.values())
        if watching >= MAX_WATCHERS:
            raise Problem(429, f"{watching} pages already watch a lesson: close one", AGAIN)

    def n_bytes(self) -> int:
        """Return about how many bytes all sessions keep."""
        return sum(kept.session.n_bytes for kept in list(self._kept.values()))

    def sweep(self) -> None:
        """Pause or end the sessions that nobody watches any more."""
        over = []
        with self._lock:
            for id_, kept in self._kept.items():
                if kept.is_watched:
                    kept.unwatched_since = None
                elif kept.unwatched_since is None:
                    kept.unwatched_since = time.monotonic()
                limit = SECONDS_TO_PAUSE if id_.startswith("run-") else SECONDS_TO_END
                if kept.seconds_unwatched > limit:
                    over.append(id_)
                elif kept.seconds_unwatched > SECONDS_TO_PAUSE and kept.session.status == "running":
                    kept.session.pause()
            ended = [self._kept.pop(id_) for id_ in over]
        for kept in ended:
            kept.session.stop()

    async def keep_swept(self) -> None:
        """Sweep every second until cancelled."""
        while True:
            await anyio.sleep(1)
            await to_thread.run_sync(self.sweep)

    def close(self) -> None:
        """End all sessions."""
        with self._lock:
            kept, self._kept = list(self._kept.values()), {}
        for each in kept:
            each.session.stop()

    def _follow(self, id_: str) -> _Kept:
        from minigpt.web.learn.following import Following

        folders = {f"run-{i}": folder for i, folder in enumerate(self._runs)}
        if id_ not in folders:
            raise _unknown(id_)
        self._make_room()
        folder = folders[id_]
        try:
            kept = self._kept[id_] = _Kept(Following(folder))
        except (OSError, ValueError):  # the message contains the path
            name = folder.resolve().name
            raise Problem(404, f"{name} cannot be read: it is damaged or gone") from None
        return kept

    def _make_room(self) -> None:
        """If there are too many sessions, end the one that nobody has watched for longest."""
        if len(self._kept) < MAX_SESSIONS:
            return
        first = max(self._kept, key=lambda id_: self._kept[id_].seconds_unwatched)
        if self._kept[first].seconds_unwatched < SECONDS_TO_PAUSE:
            raise Problem(
                429,
                f"{MAX_SESSIONS} lessons are under way on this server, which is the limit: "
                "watch one of them, or end one",
            )
        self._kept.pop(first).session.stop()


def _is_run(folder: Path) -> bool:
    from minigpt.runs.checkpoints import require_run

    try:
        require_run(folder)
    except (FileNotFoundError, ValueError):
        return False
    return True


def _unknown(id_: str) -> Problem:
    return Problem(404, f"there is no lesson {id_[:50]}: it was ended, or the server was restarted")
