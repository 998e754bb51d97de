"""Tell a format what form of answer the request asks for, if the format can make use of that."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class TakesRequest(Protocol):
    """A format that reads an answer with more certainty if it knows the request."""

    def take_request(self, asked: object) -> None:
        """Note what a request says about the form of its answer, before any of the answer is read.

        Args:
            asked: The JSON of the request.
        """
        ...


def take_request(format: object, asked: object) -> None:
    """Pass the JSON of a request to a format, if the format can use it.

    Example:
        >>> take_request("no such format", {"stream": True})
    """
    if isinstance(format, TakesRequest):
        format.take_request(asked)
