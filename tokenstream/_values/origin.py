"""The origin of an answer: who was asked, for what, in which attempt, and how far the answer got."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_MAX_LINE = 160
"""The maximum number of characters in the line that describes an origin, before the ids."""
_MAX_ID = 56
"""The maximum number of characters that the line shows of an id."""
_MAX_NAME = 20
"""The maximum number of characters that the line shows of another name, such as that of a format."""
_MIN_PLACE = 16
"""The number of characters that the address has in the line even if nothing else is to be shortened."""
_SEPARATOR = " · "
_UNUSUAL = ("port", "proxy", "route", "source_id")
"""Fields that most origins do not have, and that `fields` leaves out then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of an answer, to attribute a failure to a provider, a request and an attempt.

    It contains no key, no query and no payload, and all its texts are on one line. `str(origin)` is a line,
    by whose ids of the answer a log is searched: they are whole, and the rest has at most 160 characters.

    Example:
        >>> origin = Origin(host="api.example", path="/v1/messages", format="cohere")
        >>> print(origin)
        api.example/v1/messages · cohere · 0.0 s
    """

    host: str | None = None
    """Host of the request; None if it is not known."""
    port: int | None = None
    """Port of the request; None for the usual port of the address, and if it is not known."""
    path: str = ""
    """Path of the request, without a query; "…" stands for what may be a key."""
    proxy: str | None = None
    """Proxy that the environment names for the request, with its variable; None without one, and for a client
    of your own."""
    format: str | None = None
    """Name of the answer's format; None if it is not known."""
    model: str | None = None
    """Model that answers, by the provider's own word, or else the requested one; None if it is not known."""
    route: str | None = None
    """Name of the route that is asked; None without routes."""
    request_id: str | None = None
    """The provider's id of the request, to be quoted to its support; None if the provider sent none."""
    answer_id: str | None = None
    """Our id of the answer: the one that a relay's readers get, or else that of your `job=`, or a random one;
    None if the answer is not a stream of this library."""
    source_id: str | None = None
    """The id that the answer has where the relay gets it from; None if that is the same, or there is none."""
    attempt: int = 1
    """Number of the attempt, from 1; 0 for that of an earlier process."""
    attempts: int = 1
    """Number of attempts that may be made."""
    seconds: float = 0.0
    """Seconds since the first request for the answer."""
    bytes: int = 0
    """Number of bytes that were read from the source."""
    events: int = 0
    """Number of events that were decoded."""

    @property
    def is_known(self) -> bool:
        """True if the server or the provider's id of the request is known."""
        return self.host is not None or self.request_id is not None

    def __str__(self) -> str:
        model = None if self.model is None else _bound_text(self.model, _MAX_ID)
        named = {"proxy": self.proxy, "model": model, "answer": self.answer_id, "source id": self.source_id}
        ids = [f"{name} {id}" for name, id in named.items() if id is not None]
        return _SEPARATOR.join(filter(None, (self._place, *ids)))

    @property
    def _place(self) -> str:
        """The beginning of the line: the address, and what was asked for there."""
        # Without a name of its own, a route has that of its host.
        route = None if self.route == self.host else self.route
        tail = [_bound_text(each, _MAX_NAME) for each in (self.format, route) if each]
        if self.request_id is not None:
            tail.append(_bound_text(self.request_id, _MAX_ID))
        if self.attempt and (self.attempts > 1 or self.attempt > 1):
            tail.append(f"attempt {self.attempt} of {max(self.attempt, self.attempts)}")
        if tail or self.host is not None:
            tail.append(f"{self.seconds:.1f} s")
        if self.host is None:
            return _SEPARATOR.join(tail)
        room = _MAX_LINE - sum(map(len, tail)) - len(_SEPARATOR) * len(tail)
        place = self.host if self.port is None else f"{self.host}:{self.port}"
        line = _SEPARATOR.join([_bound_text(place + self.path, max(room, _MIN_PLACE)), *tail])
        return _bound_text(line, _MAX_LINE)

    @property
    def fields(self) -> dict[str, Any]:
        """The origin as a dict of JSON values, for logs."""
        fields = asdict(self)
        for name in _UNUSUAL:
            if fields[name] is None:
                del fields[name]
        return fields


def _bound_text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
