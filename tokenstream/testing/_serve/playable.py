"""The choice of the recording or script to play for a request, for test servers and mock transports."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from tokenstream._connection.head import LOWEST_ERROR_STATUS
from tokenstream.errors import MisuseError
from tokenstream.formats._registry import format_of_path
from tokenstream.relay._encoders import load, names
from tokenstream.testing._faults.base import combined
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._recordings.replay import Chunking, Pace, prepare
from tokenstream.testing._script import Script
from tokenstream.testing._serve.replies import Request, refusal

if TYPE_CHECKING:
    from tokenstream._providers.apis import ScriptFormat
    from tokenstream.testing.faults import Fault

_Single: TypeAlias = Recording | Script
Servable: TypeAlias = "_Single | Sequence[Servable] | Mapping[str, Servable] | Callable[[Request], _Single]"
"""Any object that can be played: a recording; a script; a sequence of these, one for each request; a
mapping from paths to these; or a function that takes the request and returns a recording or a script."""
_Chooser: TypeAlias = Callable[[Request], Recording]

_CONNECTION_HEADERS = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
"""Headers about the connection on which a recording was made; they are not sent again."""
_SENDABLE = re.compile(r"[\t\x20-\x7e]*")


class Player:
    """Chooses the answer to each request.

    Args:
        what: As for `testing.serve`.
        format: Format in which scripts are sent; None to take it from the request's path.
        pace: Times of the chunks.
        chunking: Boundaries of the chunks; the messages of a WebSocket stay whole.
        fault: A fault, or several, applied to every answer.

    Raises:
        MisuseError: `what` cannot be played, or an option is invalid.
    """

    def __init__(
        self,
        what: Servable,
        *,
        format: ScriptFormat | str | None = None,
        pace: Pace = "instant",
        chunking: Chunking = "recorded",
        fault: Fault | Iterable[Fault] | None = None,
    ) -> None:
        # An unknown format or invalid options raise here, in the caller's line, not at the first request.
        if format is not None:
            load(format)
        prepare(Recording.of([]), pace, chunking, fault=None)
        self._format = format
        self._pace: Pace = pace
        self._chunking: Chunking = chunking
        # An iterator of faults can be read only once, and every request needs them.
        self._fault = None if fault is None else combined(fault)
        self.answer = self._make_chooser(what)
        """Returns the answer to a request, whether it comes over HTTP or a WebSocket."""

    def recording(self, request: Request) -> Recording:
        """Return the answer to a request, with pace, chunking and fault applied."""
        chosen = self.answer(request)
        if chosen.status >= LOWEST_ERROR_STATUS:
            # A refusal is an HTTP answer, even to a request that opens a WebSocket.
            return chosen.replaced(messages=False) if chosen.messages else chosen
        if chosen.messages and not request.opens_socket:
            raise MisuseError(
                f"a WebSocket's messages are played at {request.route}: connect to ws://…, and "
                "not to http://…"
            )
        if request.opens_socket and not chosen.messages:
            raise MisuseError(
                f"an HTTP answer is played at {request.route}: connect to http://…, and not for ws://…"
            )
        return chosen

    def format_of(self, request: Request) -> str | None:
        """Return the format of the answer to a request; None if its path does not determine it."""
        return self._format or format_of_path(request.route)

    # -- within ------------------------------------------------------------

    def _make_chooser(self, what: object) -> _Chooser:
        """Return the function that takes a request and returns the recording to play."""
        if isinstance(what, Recording | Script):
            return lambda request: self._prepare(what, request)
        if isinstance(what, Mapping):
            return self._choose_by_path(cast("Mapping[str, object]", what))
        if isinstance(what, Sequence) and not isinstance(what, str | bytes):
            return _choose_in_turn([self._make_chooser(item) for item in cast("Sequence[object]", what)])
        if callable(what):
            return lambda request: self._prepare(cast("Callable[[Request], object]", what)(request), request)
        raise MisuseError(
            f"a {type(what).__name__} cannot be played: pass a Recording, a script, several of them (one for "
            "each request), a mapping from paths, or a function of the request that returns one"
        )

    def _choose_by_path(self, what: Mapping[str, object]) -> _Chooser:
        """Return the function that finds the recording for a request's path, or an answer with status 404."""
        choosers = {path: self._make_chooser(item) for path, item in what.items()}

        def choose(request: Request) -> Recording:
            chooser = choosers.get(request.route)
            return _refuse_path(request.route, choosers) if chooser is None else chooser(request)

        return choose

    def _prepare(self, what: object, request: Request) -> Recording:
        """Return a recording or a script as the recording to play, with pace, chunking and fault applied."""
        if isinstance(what, Script):
            what = what.recording(self._format or _format_for_path(request.route))
        if not isinstance(what, Recording):
            raise MisuseError(
                f"the function that decides what is played returned a {type(what).__name__}: it returns a "
                "Recording or a script"
            )
        return prepare(what, self._pace, self._chunking, self._fault)


def _format_for_path(path: str) -> str:
    """Return the format that a provider sends at a path; raise `MisuseError` if the path is not known."""
    format = format_of_path(path)
    if format is None:
        raise MisuseError(
            f"the path {path} does not determine the script's format: pass format=, one of "
            f"{', '.join(names())}"
        )
    return format


def _choose_in_turn(choosers: Sequence[_Chooser]) -> _Chooser:
    """Return a function that passes each request to the next of several functions that choose the answer."""
    remaining = iter(choosers)
    # The server's threads call this concurrently.
    lock = threading.Lock()

    def choose(request: Request) -> Recording:
        """Return the next answer; raise `MisuseError` if there is none."""
        with lock:
            chooser = next(remaining, None)
        if chooser is None:
            raise MisuseError(
                f"all {len(choosers)} prepared answers have been given, and {request.route} asks for one "
                "more: prepare another, or switch off the client's retries"
            )
        return chooser(request)

    return choose


def _refuse_path(path: str, played_paths: Iterable[str]) -> Recording:
    reply = refusal(404, f"nothing is played at {path}, only at {', '.join(played_paths)}")
    body = [data for _, data in reply.chunks]
    return Recording.of(body, status=reply.status, headers={"content-type": reply.content_type})


def headers_of(recording: Recording) -> dict[str, str]:
    """Return the headers to send with a recording, which always include a content type."""
    headers = {name: text for name, text in recording.headers.items() if name not in _CONNECTION_HEADERS}
    for name, text in headers.items():
        if not _SENDABLE.fullmatch(text):
            raise MisuseError(
                f"the recording's header {name} cannot be sent: it has characters other than printable "
                "ASCII; remove them"
            )
    if "content-type" not in headers:
        # The content type of "text" is that of any SSE stream.
        format = recording.format if recording.format in names() else "text"
        headers["content-type"] = load(format).content_type
    return headers
