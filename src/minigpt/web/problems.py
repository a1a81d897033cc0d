"""What is answered when a request cannot be."""

from __future__ import annotations

from typing import Any

from minigpt.support.terminal import visible

AGAIN = {"Retry-After": "1"}


class Problem(Exception):
    """An answer that is an error.

    Parameters
    ----------
    status : of HTTP.
    message : a sentence for the person who asked.
    headers : such as Retry-After.
    field : the field of the request that is wrong, where it is one.
    offer : a value of it that works, where one is known.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
        field: str | None = None,
        offer: Any = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers
        self.field, self.offer = field, offer

    def to_dict(self) -> dict[str, Any]:
        """Return what is answered, ready for JSON."""
        answer: dict[str, Any] = {"error": visible(self.message)}
        if self.field is not None:
            answer["unfit"] = {"field": self.field, "offer": self.offer}
        return answer
