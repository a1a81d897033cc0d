"""News for any number of listeners, none of whom can hold up the sender or fill the memory."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

EVENTS_WAITING = 256
"""How many events wait for a listener; of one that is slower, points in between are lost."""
KEPT = ("layers", "heads", "embeddings")
"""Events whose newest is kept for those who subscribe later."""
REPLACED = ("state", "sample", *KEPT)
"""Events of which only the newest matters: it takes the place of one that still waits."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes
    ----------
    kind : what; see `minigpt.web.learn.session`.
    data : the rest by name, ready for JSON.
    """

    kind: str
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return `data` with the kind beside it, ready for JSON."""
        return {"kind": self.kind, **self.data}

    @cached_property
    def json(self) -> str:
        """The same as text: written once, however many listen."""
        return to_json(self.to_dict())


class Subscription:
    """What a listener gets: loop over it, or `get` one event at a time; `close` it in the end.

    The loop ends when the channel is closed and all that was waiting is taken.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def get(self, timeout: float | None = None) -> Event | None:
        """Wait for the next event; None after `timeout` seconds, or when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            return self._waiting.popleft() if self._waiting else None

    def __iter__(self) -> Iterator[Event]:
        while (event := self.get()) is not None:
            yield event

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def over(self) -> bool:
        """Whether there will be no more events."""
        return self._closed and not self._waiting

    def close(self) -> None:
        """Listen no more. A `get` that waits returns."""
        self._channel.leave(self)
        self.end()

    def end(self) -> None:
        """Accept nothing more: end after what is waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def put(self, event: Event) -> None:
        """Add an event, at the expense of an older one where too many wait."""
        with self._changed:
            if event.kind in REPLACED:
                self._drop(event.kind)
            elif len(self._waiting) >= EVENTS_WAITING and not self._drop("step"):
                self._waiting.popleft()
            self._waiting.append(event)
            self._changed.notify_all()

    def _drop(self, kind: str) -> bool:
        """Remove the oldest event of a kind, if one waits."""
        for i, event in enumerate(self._waiting):
            if event.kind == kind:
                del self._waiting[i]
                return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Channel:
    """Sends events to all who subscribe; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Subscription] = []
        self._newest: dict[str, Event] = {}
        self._closed = False

    def subscribe(self) -> Subscription:
        """Return what will get all events from now on."""
        subscription = Subscription(self)
        with self._lock:
            self._listeners.append(subscription)
            if self._closed:
                subscription.end()
        return subscription

    @property
    def is_closed(self) -> bool:
        """Whether no more will be sent."""
        return self._closed

    def catch_up(self, subscription: Subscription) -> None:
        """Send a listener the newest of the events that are kept."""
        with self._lock:
            for event in self._newest.values():
                subscription.put(event)

    def leave(self, subscription: Subscription) -> None:
        """Send no more to a listener."""
        with self._lock:
            if subscription in self._listeners:
                self._listeners.remove(subscription)

    def publish(self, kind: str, **data: Any) -> None:
        """Send an event; it waits for nobody."""
        event = Event(kind, data)
        with self._lock:
            if kind in KEPT:
                self._newest[kind] = event
            for listener in self._listeners:
                listener.put(event)

    def close(self) -> None:
        """Send no more; listeners come to their end."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                listener.end()

    def __len__(self) -> int:
        return len(self._listeners)


def to_json(value: Any) -> str:
    """Write JSON as browsers read it: a number that is not finite becomes null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
