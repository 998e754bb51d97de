"""What notes the bytes of an answer while somebody else reads them, and writes the recording of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError, StreamStalled, TokenStreamError
from tokenstream.framing.content_coding import ContentDecoder
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.sources import reading_failed
from tokenstream.sources._kinds import named
from tokenstream.testing._record_filters import filtered, replaced
from tokenstream.testing._recording import Arrival, Recording
from tokenstream.testing._save import save
from tokenstream.testing._secrets import kept_headers

if TYPE_CHECKING:
    import itertools
    import re
    from collections.abc import Callable
    from pathlib import Path

    from tokenstream.status import ResponseHead
    from tokenstream.testing._record_filters import Filter
    from tokenstream.testing._recording import Breaks

__all__ = ["Notes", "Terms"]

_MOST_CAUSES = 10
_PLACEHOLDER = "{n}"


@dataclass(frozen=True)
class Terms:
    """What was asked of a recording."""

    path: Path
    overwrite: bool
    replacements: list[tuple[re.Pattern[bytes], bytes]]
    filter: Filter | None
    headers: frozenset[str]
    """Names of headers that are kept besides, in lower case."""
    clock: Callable[[], float]
    """Where the time comes from, in seconds."""
    numbers: itertools.count[int]
    """How many recordings there are."""

    def numbered(self) -> Path:
        """Return where the next recording is to be."""
        return self.place(next(self.numbers))

    def place(self, number: int | str) -> Path:
        """Return where the recording of a number is to be."""
        name = self.path.name
        if _PLACEHOLDER in name:
            return self.path.with_name(name.replace(_PLACEHOLDER, str(number)))
        if number == 1:
            return self.path
        return self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")

    def write(self, recording: Recording, path: Path) -> None:
        """Write a recording, changed as it was asked for.

        Raises:
            RecordingRefused: It holds what looks like a secret.
            MisuseError: It cannot be written.
        """
        recording = replaced(recording, self.replacements)
        if self.filter is not None:
            recording = filtered(recording, self.filter)
        try:
            save(recording, path, overwrite=self.overwrite)
        except OSError as error:
            raise MisuseError(f"the recording could not be written: {error}") from error


class Notes:
    """Notes what passes, and writes the recording when it is over: a `Watcher`.

    Args:
        terms: What was asked for.
        began: When the request went out, by the clock of `terms`; None for now.
        bare: Whether a body without bytes is worth a recording.
    """

    def __init__(self, terms: Terms, *, began: float | None = None, bare: bool = True) -> None:
        self._terms = terms
        self._began = terms.clock() if began is None else began
        self._bare = bare
        self._arrivals: list[Arrival] = []
        self._head: ResponseHead | None = None
        self._decoder: ContentDecoder | None = None
        self._breaks: Breaks | None = None
        self.items = 0
        """How many items have passed."""
        self.over = False
        """Whether no more is noted."""
        self.method = ""
        """The method of the request."""
        self.messages = False
        """Whether each chunk is one message of a WebSocket."""
        self.format: Callable[[], str | None] = _unknown
        """Returns the name of the format, where that is known at the end."""
        self.patient = False
        """Whether reading may go on after a TimeoutError."""
        self.leaving: BaseException | None = None
        """With what the body of a `with` is left, which nothing is raised over."""

    # -- how it begins -----------------------------------------------------

    def sent(self) -> None:
        """A request goes out now."""
        self._began = self._terms.clock()

    def not_opened(self, error: BaseException) -> None:
        """There is no answer."""
        self.over = True

    def opened(self, head: ResponseHead | None, coding: str) -> None:
        """Take the head of the response, and the coding that is on its bytes."""
        self._head = head
        self._decoder = ContentDecoder(coding, limits=DEFAULT_LIMITS) if coding else None

    # -- what passes -------------------------------------------------------

    def see(self, chunk: Any, *, plain: bool = False) -> None:  # noqa: ANN401 - a chunk of any kind
        """Note a chunk.

        Args:
            chunk: Bytes, or text.
            plain: Whether the content coding is off already.
        """
        if self.over:
            return
        now = self._terms.clock()
        data = chunk.encode("utf-8", "surrogatepass") if isinstance(chunk, str) else bytes(chunk)
        self._breaks = None
        if self._decoder is not None and not plain:
            data = b"".join(self._decoder.feed(data))
            if not data:
                return
        self._arrivals.append(Arrival(max(0.0, round(now - self._began, 6)), data))

    def see_item(self, item: object) -> None:
        """Note a chunk of a loop.

        Raises:
            MisuseError: It is none, but an object that somebody has made of the bytes.
        """
        self.items += 1
        if isinstance(item, bytes | bytearray | memoryview | str):
            self.see(item)
            return
        self.over = True
        raise MisuseError(
            f"a loop that gives {named(item)} does not show the bytes that came, which are what is recorded: "
            "record the HTTP client that the SDK is given, with testing.record(httpx2.Client(), path)"
        )

    def is_first(self, item: object) -> bool:
        """Tell whether a loop begins anew: of bytes that cannot be told."""
        return False

    # -- how it ends -------------------------------------------------------

    def end(self) -> None:
        """The body has ended."""
        if self._decoder is not None:
            self._decoder.end()
        if self._bare or self._arrivals:
            self._write(None)
        self.over = True

    def broke(self, error: BaseException, *, final: bool) -> None:
        """Reading raised; that is raised on, whatever becomes of the recording."""
        if isinstance(error, Exception):
            self._breaks = _how(error)
            if self.patient and self._breaks == "stall":
                return
        elif not final:
            return
        self._write(error)

    def stop(self) -> None:
        """Who reads has closed the body: what was read of it is the recording."""
        if self._arrivals:
            self._write(self.leaving)
        self.over = True

    def _write(self, error: BaseException | None) -> None:
        """Write the recording once.

        Args:
            error: What is on its way already, to which it is noted where that fails.
        """
        if self.over:
            return
        self.over = True
        if self._decoder is not None and self._decoder.error is not None:
            # What follows is lost for whoever reads, too.
            self._breaks = self._breaks or "close"
        path = self._terms.numbered()
        try:
            self._terms.write(self._recording(path), path)
        except TokenStreamError as failure:
            if error is None:
                raise
            error.add_note(f"There is no recording: {failure}")

    def _recording(self, path: Path) -> Recording:
        head = self._head
        return Recording(
            tuple(self._arrivals),
            name=path.stem,
            status=200 if head is None else head.status,
            headers={} if head is None else kept_headers(head.headers, self._terms.headers),
            format=self.format(),
            messages=self.messages,
            breaks=self._breaks,
            request=self._request(),
        )

    def _request(self) -> str:
        place = "" if self._head is None else self._head.place
        # urllib3 knows no more of it than its path.
        return f"{self.method} {place}".strip() if "://" in place else ""


def _unknown() -> None:
    """Return no name of a format."""


def _how(error: Exception) -> Breaks | None:
    """Return how the connection broke; None where the calling code is to blame for an exception."""
    found = reading_failed(error, None, begun=True)
    if isinstance(found, MisuseError):
        return None
    if isinstance(found, StreamStalled):
        return "stall"
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if isinstance(cause, ConnectionResetError):
            return "reset"
        cause = cause and (cause.__cause__ or cause.__context__)
    return "close"
