"""Several responses, one after the other, as one answer: after each, tools were run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.formats._wire.openai_responses import OpenAIResponses

if TYPE_CHECKING:
    from tokenstream.events import Event
    from tokenstream.formats._fast.path import Fast
    from tokenstream.limits import Limits


class ResponsesInTurn(OpenAIResponses):
    """The `openai-responses` format of an answer that consists of several responses.

    All responses form one message, with the last finish reason. The answer ends with the input.

    Args:
        limits: Bounds on parts, tool calls, and JSON payloads.
        pings: True if frames without content, such as pings, become `Ping` events.

    Example:
        >>> responses = ResponsesInTurn()
        >>> for id in ("resp_1", "resp_2"):
        ...     head = {"id": id, "object": "response", "output": []}
        ...     for word in ("created", "completed"):
        ...         event = {"type": f"response.{word}", "response": {**head, "status": word}}
        ...         events = responses.feed(event)
        >>> responses.finished, responses.ended
        (True, False)
    """

    __slots__ = ("_is_between",)

    ends_with_input: ClassVar[bool] = True
    sentinel: ClassVar[bytes | None] = None
    fast: ClassVar[Fast | None] = None

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._is_between = False
        """True between two responses."""

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Read a payload; the one that creates a further response begins it."""
        if self._is_between and (text_of(payload, "type") or event) == "response.created":
            self._is_between = self._created = False
            response = dict_of(payload, "response")
            self._items.begin_response(text_of(response, "id"), text_of(response, "model"))
            if self._fast_path is not None:
                # A delta of this response may look like one of the response before.
                self._fast_path.clear()
        super().read(payload, event)

    def conclude(self) -> None:
        """End a response, but not the answer."""
        self._is_between = True
        self.parts.close_all(complete=True)

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the events held back at the input's end; set `error` if a response is open, or none came."""
        if self.error is None and not self.parts.finished:
            self.error = self.cut_short()
        return super().end(now=now)

    @property
    def finished(self) -> bool:
        """True once the last response has ended, and waits for no results."""
        return super().finished and not self._items.awaits_results

    @property
    def resting(self) -> bool:
        """True while tools are run."""
        return self._is_between


class SteeredResponses(ResponsesInTurn):
    """The `openai-responses` format of an answer that another response continues if it is steered."""

    fast: ClassVar[Fast | None] = OpenAIResponses.fast
