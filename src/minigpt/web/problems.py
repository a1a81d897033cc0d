"""Answers that are errors."""

from __future__ import annotations

from typing import Any

from minigpt.support.terminal import visible

AGAIN = {"Retry-After": "1"}


class Problem(Exception):
    """A request that cannot be answered.

    Parameters
    ----------
    status : the HTTP status code.
    message : a sentence for the person who sent the request.
    headers : for example Retry-After.
    field : the field of the request that is wrong, if it is one.
    offer : a value of the field that works, if one is known.
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
        """Return the answer, ready for JSON."""
        answer: dict[str, Any] = {"error": visible(self.message)}
        if self.field is not None:
            answer["unfit"] = {"field": self.field, "offer": self.offer}
        return answer
