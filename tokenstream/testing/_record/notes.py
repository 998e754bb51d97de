"""The class `Notes`, which collects the bytes of an answer that an application reads, to record them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tokenstream._sources.failures import reading_error
from tokenstream._sources.kinds import SyncSource, class_name_of
from tokenstream._sources.websocket import is_socket_closed
from tokenstream.errors import MisuseError, StreamStalled, TokenStreamError
from tokenstream.framing._content_coding import ContentDecoder
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.testing._record.filters import Filter, Replacement, apply_filter, apply_replacements
from tokenstream.testing._recordings.files import save
from tokenstream.testing._recordings.recording import Arrival, Breaks, Recording
from tokenstream.testing._recordings.secrets import select_headers

if TYPE_CHECKING:
    import itertools
    from collections.abc import Callable
    from pathlib import Path

    from tokenstream._connection.head import ResponseHead
    from tokenstream.stream._protocols import Clock

_MAX_CAUSES = 10
_PLACEHOLDER = "{n}"


@dataclass(frozen=True)
class Terms:
    """The options of `testing.record`, checked and converted; all recordings of one call share them."""

    path: Path
    """The file to write; for several recordings, its name may contain `{n}` for the recording's number."""
    overwrite: bool
    replacements: list[Replacement]
    """Patterns, and the bytes with which to replace their matches."""
    filter: Filter | None
    """Changes the recording before it is written; None for no change."""
    headers: frozenset[str]
    """Lower-case names of additional headers to keep."""
    clock: Clock
    """Source of the times, in seconds."""
    numbers: itertools.count[int]
    """Counter that gives each recording its number, from 1."""

    def path_of(self, number: int | str) -> Path:
        """Return the path of the recording with a number.

        The number replaces the placeholder in the name of the file; if the name has none, the
        number is added from the second recording on.
        """
        name = self.path.name
        if _PLACEHOLDER in name:
            return self.path.with_name(name.replace(_PLACEHOLDER, str(number)))
        if number == 1:
            return self.path
        return self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")

    def write(self, recording: Recording, path: Path) -> None:
        recording = apply_replacements(recording, self.replacements)
        if self.filter is not None:
            recording = apply_filter(recording, self.filter)
        try:
            save(recording, path, overwrite=self.overwrite)
        except OSError as error:
            raise MisuseError(f"the recording could not be written: {error}") from error


class Notes:
    """Collects the bytes of an answer while the application reads them, then writes the recording.

    It is a `Watcher`: the wrapper of the source or response that is recorded calls its methods.

    Args:
        started_at: Time of the request, by the clock of `terms`; None for now.
        keep_empty: True to write a recording even if the body is empty.
    """

    def __init__(self, terms: Terms, *, started_at: float | None = None, keep_empty: bool = True) -> None:
        self._terms = terms
        self._started_at = terms.clock() if started_at is None else started_at
        self._keep_empty = keep_empty
        """False to write no recording of an answer without a body."""
        # The answer so far.
        self._arrivals: list[Arrival] = []
        self._head: ResponseHead | None = None
        self._decoder: ContentDecoder | None = None
        """Undoes the content coding of the chunks; None if they are not compressed."""
        self._breaks: Breaks | None = None
        """The way in which the connection broke; None if it did not."""
        self._close_frame: tuple[int, str] | None = None
        """Code and reason with which the server has closed the WebSocket; None if it has sent neither."""
        self._exit_code: int | None = None
        """The exit code of the program that has printed the bytes; None if it is not known."""
        self._written: Path | None = None
        """The file that was written; None if none was."""
        self.item_count = 0
        self.is_finished = False
        """True once the recording is written or given up; further chunks are ignored."""
        # Facts that the wrapper of the source fills in.
        self.method = ""
        self.messages = False
        """True if each chunk is one WebSocket message."""
        self.format: Callable[[], str | None] = lambda: None
        """Called when the recording is written; returns the name of the format, or None."""
        self.survives_timeout = False
        """True if the application can go on reading the body after a read has raised TimeoutError."""
        self.block_error: BaseException | None = None
        """The exception that has ended the `with` block of the source; None if there was none.

        If the recording cannot be written, that error is added to this exception, and is not raised.
        """

    # -- how it begins -----------------------------------------------------

    def note_sent(self) -> None:
        """Set the time of the request to now; the times of the chunks are counted from it."""
        self._started_at = self._terms.clock()

    def note_open_error(self, error: BaseException) -> None:
        """Give up the recording, because opening the source failed, and there is no answer."""
        self.is_finished = True

    def note_head(self, head: ResponseHead | None, coding: str) -> None:
        self._head = head
        self._decoder = ContentDecoder(coding, limits=DEFAULT_LIMITS) if coding else None

    # -- what passes -------------------------------------------------------

    def see(self, chunk: Any) -> None:  # noqa: ANN401 - a chunk of any kind
        """Add a chunk that the application has read to the recording, with the current time."""
        if self.is_finished:
            return
        now = self._terms.clock()
        data = chunk.encode("utf-8", "surrogatepass") if isinstance(chunk, str) else bytes(chunk)
        # A chunk after a read that timed out: the connection was not broken.
        self._breaks = None
        if self._decoder is not None:
            data = b"".join(self._decoder.feed(data))
            if not data:
                return
        self._arrivals.append(Arrival(max(0.0, round(now - self._started_at, 6)), data))

    def see_item(self, item: object) -> None:
        """Add an item of an iterable that the application has read to the recording, as a chunk."""
        self.item_count += 1
        if isinstance(item, bytes | bytearray | memoryview | str):
            self.see(item)
            return
        self.is_finished = True
        raise MisuseError(
            f"an iterable of {class_name_of(item)} does not show the bytes that arrived, which a recording "
            "needs: record the HTTP client to pass to the SDK, with testing.record(httpx2.Client(), path)"
        )

    def is_first(self, item: object) -> bool:
        """Return False, so that the items of every loop are recorded.

        A watcher of objects recognises by the first item that a loop has started over. Chunks of bytes do not
        show that, because two chunks of an answer may be equal.
        """
        return False

    def note_method(self, response: Any) -> None:  # noqa: ANN401 - httpx's, httpx2's or of requests
        """Store the HTTP method of the request that led to a response, for the recording."""
        # A response constructed in code has no request.
        with suppress(AttributeError, RuntimeError):
            self.method = response.request.method or ""

    def note_complete(self, source: SyncSource) -> None:
        """Record a body that has arrived completely, and write the recording at once."""
        self.note_head(source.head, source.coding)
        for chunk in source.chunks:
            if chunk:
                self.see(chunk)
        self.end()

    # -- how it ends -------------------------------------------------------

    def end(self) -> None:
        """Write the recording, because the body has ended."""
        if self._decoder is not None:
            self._decoder.end()
        # Of a client's answers, those without a body are not recorded.
        if self._keep_empty or self._arrivals:
            self._write(None)
        self.is_finished = True

    def note_read_error(self, error: BaseException, *, final: bool) -> None:
        """Write the recording after a read of the body has failed, unless reading may go on.

        If writing fails as well, that failure is added to `error` as a note, and is not raised.
        """
        if isinstance(error, Exception):
            self._breaks = _classify_break(error)
            frame = getattr(error, "rcvd", None) if is_socket_closed(error) else None
            self._close_frame = None if frame is None else (frame.code, frame.reason or "")
            may_go_on = self.survives_timeout and self._breaks == "stall"
        else:
            # A cancellation, or an interruption such as Ctrl-C.
            may_go_on = not final
        if not may_go_on:
            self._write(error)

    def stop(self) -> None:
        """Write the recording of the bytes read so far, because the reader has closed the body."""
        if self._arrivals:
            self._write(self.block_error)
        self.is_finished = True

    def note_exit_code(self, code: int) -> None:
        """Add the exit code of the program to the recording, also to one that was written before."""
        if self._exit_code is not None:
            return
        self._exit_code = code
        if self._written is not None:
            # The program has closed its output before it ended.
            recording = self._build_recording(self._written)
            replace(self._terms, overwrite=True).write(recording, self._written)

    def _write(self, error: BaseException | None) -> None:
        """Write the recording once; a failure to write becomes a note on `error`, if there is one."""
        if self.is_finished:
            return
        self.is_finished = True
        if self._decoder is not None and self._decoder.error is not None:
            # The reader does not get the bytes after a decoding error either.
            self._breaks = self._breaks or "close"
        path = self._terms.path_of(next(self._terms.numbers))
        try:
            self._terms.write(self._build_recording(path), path)
            self._written = path
        except TokenStreamError as failure:
            if error is None:
                raise
            error.add_note(f"There is no recording: {failure}")

    def _build_recording(self, path: Path) -> Recording:
        """Return a recording of the chunks collected so far, named after the file at `path`."""
        head = self._head
        return Recording(
            tuple(self._arrivals),
            name=path.stem,
            status=200 if head is None else head.status,
            headers={} if head is None else select_headers(head.headers, self._terms.headers),
            format=self.format(),
            messages=self.messages,
            breaks=self._breaks,
            close_frame=self._close_frame,
            exit_code=self._exit_code,
            request=self._write_request(),
        )

    def _write_request(self) -> str:
        """Return the method and the address of the request; "" if its address is not known."""
        address = "" if self._head is None else self._head.place
        # A urllib3 response knows only the path of its request.
        return f"{self.method} {address}".strip() if "://" in address else ""


def _classify_break(error: Exception) -> Breaks | None:
    """Return the way in which the connection broke; None if the error is a mistake of the calling code."""
    stream_error = reading_error(error, read_deadlines=None, begun=True)
    if isinstance(stream_error, MisuseError):
        return None
    if isinstance(stream_error, StreamStalled):
        return "stall"
    # HTTP clients wrap the operating system's error in errors of their own.
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if isinstance(cause, ConnectionResetError):
            return "reset"
        cause = cause and (cause.__cause__ or cause.__context__)
    return "close"
