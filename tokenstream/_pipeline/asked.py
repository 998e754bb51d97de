"""The facts about the request of an answer that its input does not have, and the origin made from them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tokenstream._basics.request_facts import AskedRequest, model_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.request_facts import RequestPair
    from tokenstream._pipeline.link import Link
    from tokenstream._values.origin import Origin
    from tokenstream.errors import StreamError
    from tokenstream.stages._metrics.meter import Meter

_MAX_CHARACTERS = 200
"""The maximum number of characters of an id or a name that a server has sent."""
_ID_BYTES = 5
"""The number of bytes of a random id, which tells the lines of two streams in a log apart."""


class AttemptFacts(NamedTuple):
    """The facts about an attempt that belong to the origin of its answer."""

    number: int
    """The number of the attempt, from 1."""
    most: int
    """The number of attempts that may be made."""
    route: str | None
    """The name of the route that is asked; None without routes."""


_ONLY = AttemptFacts(1, 1, None)


class AskedFacts:
    """Facts about the request of an answer, besides those that the answer itself tells.

    The address of a response takes precedence over that of the request, which may have been redirected.
    """

    def __init__(self) -> None:
        self.find_attempt: Callable[[], AttemptFacts] | None = None
        """Returns the facts about the current attempt; None if there is only one."""
        self._reported_id: str | None = None
        """The id of the answer that readers of a relay get; None if there is none."""
        self._given_id: str | None = None
        """The id of the answer that the caller has given; None if there is none."""
        self._random_id: str | None = None
        """An id of the answer for the log; None before it is needed."""
        self._asked: RequestPair | None = None
        """The request that is noted, which its source mostly reports once more; None before the first one."""
        self._url = ""
        """The address of the request; "" if it is not known."""
        self._model: str | None = None
        """The requested model; None if it is not known."""

    def take_request(self, asked: RequestPair | None) -> None:
        """Note the address and the JSON, if known, of the request that is sent next, or was answered."""
        if asked is not self._asked:
            self._asked = asked
            self._url, payload = ("", None) if asked is None else asked
            self._model = model_in(payload, self._url)

    @property
    def request(self) -> RequestPair | None:
        """The address and the JSON of the request; None if they are not known."""
        return self._asked

    def note_given_id(self, id: str) -> None:
        self._given_id = _clean(id)

    def name_answer(self, id: str) -> str:
        """Note the id under which readers of a relay know the answer; return the one that all have."""
        # A stream with several readers keeps the first one's.
        self._reported_id = self._reported_id or id
        return self._reported_id

    def make_origin(
        self, link: Link, meter: Meter, events: int, now: float, error: StreamError | None
    ) -> Origin:
        """Return the origin of an answer of which so many events were read until now; an error has its id."""
        # Imported with the first origin: most answers need none.
        from tokenstream._basics.url import find_address
        from tokenstream._values.origin import Origin
        from tokenstream.formats._registry import format_of_request

        head, format = link.head, link.connection.known_format
        url = (None if head is None else head.url) or self._url or _find_url(error)
        until = now if meter.ended_at is None else meter.ended_at
        request_id = (None if head is None else head.request_id) if error is None else error.request_id
        number, most, route = _ONLY if self.find_attempt is None else self.find_attempt()
        model = (None if format is None else format.parts.model) or self._model
        host, port, path = find_address(url, model)
        source_id = self._given_id or _clean(link.named_id)
        self._random_id = self._random_id or os.urandom(_ID_BYTES).hex()
        answer_id = self._reported_id or source_id or self._random_id
        return Origin(
            host=host,
            port=port,
            path=path,
            proxy=self._asked.proxy if isinstance(self._asked, AskedRequest) else None,
            format=link.format or format_of_request(url, link.wanted),
            model=_clean(model),
            route=route,
            request_id=_clean(request_id),
            answer_id=answer_id,
            source_id=None if source_id == answer_id else source_id,
            attempt=number,
            attempts=most,
            seconds=max(0.0, until - meter.started_at),
            bytes=meter.bytes,
            events=events,
        )


def _find_url(error: StreamError | None) -> str:
    """Return the address of the request whose exception has caused an error; "" if it is not known."""
    try:
        return str(cast("Any", error).__cause__.request.url)
    except (AttributeError, RuntimeError):
        # There is no cause, or it has no request; httpx then raises a RuntimeError.
        return ""


def _clean(text: Any) -> str | None:  # noqa: ANN401 - a server's word
    """Return a text from outside on one line, and cut to a maximum length; None for anything else."""
    from tokenstream._basics.visible import one_line

    return one_line(text[:_MAX_CHARACTERS]) if isinstance(text, str) and text else None
