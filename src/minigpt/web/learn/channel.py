"""Events for any number of listeners. None of them can delay the sender or fill the memory."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

MAX_QUEUED_EVENTS = 256
"""Events that wait for one listener. A slower listener loses some of the steps in between."""
REPLAYED = ("layers", "heads", "embeddings")
"""Kinds of events of which the newest is kept for later listeners."""
REPLACED = ("state", "sample", *REPLAYED)
"""Kinds of events of which only the newest matters: it replaces one that still waits."""


@dataclass(frozen=True)
class Event:
    """An event of a session.

    Attributes
    ----------
    kind : one of the kinds in `minigpt.web.learn.session`.
    data : its values by name, ready for JSON.
    """

    kind: str
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and `data` in one dictionary, ready for JSON."""
        return {"kind": self.kind, **self.data}

    @cached_property
    def json(self) -> str:
        """The event as JSON text, written only once for all listeners."""
        return to_json(self.to_dict())


class Subscription:
    """The events for one listener: loop over it, or `get` them one by one; `close` it at the end.

    The loop ends when the channel is closed and no event is waiting.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def get(self, timeout: float | None = None) -> Event | None:
        """Return the next event, or None after `timeout` seconds or after the last event."""
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
        """Whether no more events will come."""
        return self._closed and not self._waiting

    def close(self) -> None:
        """Stop listening. A waiting `get` returns."""
        self._channel.leave(self)
        self.end()

    def end(self) -> None:
        """Accept no more events: the loop ends after those that are waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def put(self, event: Event) -> None:
        """Add an event; if too many are waiting, drop an older one."""
        with self._changed:
            if event.kind in REPLACED:
                self._drop(event.kind)
            elif len(self._waiting) >= MAX_QUEUED_EVENTS and not self._drop("step"):
                self._waiting.popleft()
            self._waiting.append(event)
            self._changed.notify_all()

    def _drop(self, kind: str) -> bool:
        """Remove the oldest waiting event of a kind; return whether there was one."""
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
    """Sends events to all subscribers. It may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Subscription] = []
        self._newest: dict[str, Event] = {}
        self._closed = False

    def subscribe(self) -> Subscription:
        """Return a subscription to all events from now on."""
        subscription = Subscription(self)
        with self._lock:
            self._listeners.append(subscription)
            if self._closed:
                subscription.end()
        return subscription

    @property
    def is_closed(self) -> bool:
        """Whether no more events will be sent."""
        return self._closed

    def catch_up(self, subscription: Subscription) -> None:
        """Send a listener the newest event of each kind that is replayed."""
        with self._lock:
            for event in self._newest.values():
                subscription.put(event)

    def leave(self, subscription: Subscription) -> None:
        """Remove a listener."""
        with self._lock:
            if subscription in self._listeners:
                self._listeners.remove(subscription)

    def publish(self, kind: str, **data: Any) -> None:
        """Send an event to all listeners, without waiting for any."""
        event = Event(kind, data)
        with self._lock:
            if kind in REPLAYED:
                self._newest[kind] = event
            for listener in self._listeners:
                listener.put(event)

    def close(self) -> None:
        """Send no more events, and end all subscriptions."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                listener.end()

    def __len__(self) -> int:
        return len(self._listeners)


def to_json(value: Any) -> str:
    """Return JSON that browsers can read: numbers that are not finite become null."""
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
