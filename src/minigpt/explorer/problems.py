"""What is answered when a request cannot be."""

AGAIN = {"Retry-After": "1"}


class Problem(Exception):
    """An answer that is an error.

    Parameters
    ----------
    status : of HTTP.
    message : a sentence for the person who asked.
    headers : such as Retry-After.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers
