"""A probe of the path to a server: one request, with the time of each chunk of its answer."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, cast

from tokenstream._request.client import CONNECT_SECONDS, find_proxy
from tokenstream._request.http_request import HTTPRequest
from tokenstream._sources.kinds import SyncSource
from tokenstream.cli._advice import CommandFailed, reason_of
from tokenstream.cli._doctor.pacing import TimedChunk
from tokenstream.departures import Departures
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.framing import AWSEventStreamParser, SSEParser
from tokenstream.framing._body import JSONBody
from tokenstream.framing._content_coding import ContentDecoder
from tokenstream.framing._sniff import BodyKind, sniff
from tokenstream.limits import Limits
from tokenstream.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from httpx import Client, Response

    from tokenstream._connection.head import ResponseHead
    from tokenstream.cli._input import RequestParts
    from tokenstream.formats import FormatName
    from tokenstream.stream._protocols import Clock

InputEnd: TypeAlias = Literal["end", "broken", "stopped"]
"""The way in which an answer ended: by itself, by a failure of the connection, or because the probe was
stopped, by Ctrl-C or the limit of bytes."""

_MAX_BYTES = 64 * 1024 * 1024
"""Largest number of bytes of a body that are read."""


class ProbedAnswer(NamedTuple):
    """An answer with the times of its chunks."""

    coding: str
    """The Accept-Encoding header of the request."""
    confirmed: bool = False
    """True if the same request was sent again, and its answer was held back in the same way."""
    proxied: bool = False
    """True if the environment names a proxy for the address."""
    head: ResponseHead | None = None
    version: str = ""
    """The HTTP version, such as "HTTP/1.1"."""
    head_at: float | None = None
    """Seconds until the head arrived; None if no head arrived."""
    arrivals: Sequence[TimedChunk] = ()
    ended_at: float = 0.0
    """Seconds until the body ended, broke off, or was no longer read."""
    ended: InputEnd = "end"
    """The way in which the answer ended; "stopped" if its end was not awaited, as after Ctrl-C."""
    error: StreamError | None = None
    """The error that reading the body as an answer raised, or None."""
    kind: BodyKind = "undecided"
    """The kind of body, as detected from its first bytes."""
    is_document: bool = False
    """True if the body is one JSON document instead of a stream."""
    call_in_text: str = ""
    """The dialect of a tool call in the text, which the server has not read; "" if there is none."""

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers, by lower-case name."""
        return {} if self.head is None else dict(self.head.headers)

    @property
    def silence(self) -> float:
        """Number of seconds without a byte just before the end."""
        # Before the first chunk, the last bytes were those of the head.
        last = self.arrivals[-1].at if self.arrivals else self.head_at or 0.0
        return self.ended_at - last


def browser_codings() -> str:
    """Return the Accept-Encoding of a browser, without the codings that cannot be decoded here."""
    names = ["gzip", "deflate"]
    # The packages that decode the other codings; "compression" is part of Python 3.14.
    if find_spec("brotli") or find_spec("brotlicffi"):
        names.append("br")
    if find_spec("zstandard") or find_spec("compression"):
        names.append("zstd")
    return ", ".join(names)


def probe(
    url: str,
    request_parts: RequestParts,
    coding: str,
    *,
    format: str | None = None,
    timeout: float,
    clock: Clock = time.monotonic,
) -> ProbedAnswer:
    """Send a request; return its answer, recorded up to the end, Ctrl-C, or `timeout` seconds of silence."""
    recorder = _AnswerRecorder(clock)
    with ExitStack() as stack:
        client = stack.enter_context(_make_client(timeout, recorder))
        headers = [*request_parts.headers, (b"Accept-Encoding", coding.encode())]
        options = {"headers": headers, **request_parts.body}
        request = HTTPRequest(request_parts.method, url, client, deadlines=None, options=options)
        recorder.begin()
        # On Ctrl-C, judge the bytes that have arrived.
        with suppress(KeyboardInterrupt):
            recorder.watch(request.make_lazy().open)
    return recorder.build_answer(coding, format)._replace(proxied=find_proxy(url) is not None)


def _make_client(timeout: float, recorder: _AnswerRecorder) -> Client:
    """Return an httpx client whose hook passes the head of the response to the recorder."""
    import httpx

    try:
        return httpx.Client(
            http2=find_spec("h2") is not None,
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
            event_hooks={"response": [recorder.note_head]},
        )
    except OSError as error:
        msg = f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {reason_of(error)}"
        raise CommandFailed(msg) from None


class _AnswerRecorder:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_at = 0.0
        """The clock at the request; all other times are seconds since then."""
        self._head: ResponseHead | None = None
        self._head_at: float | None = None
        self._version = ""
        """The version of HTTP, as the response gives it; "" before the response."""
        self._pieces: list[tuple[float, bytes]] = []
        """The chunks, each with the time of its arrival."""
        self._failure: Exception | None = None
        self._ended: InputEnd = "stopped"
        """The way in which the answer ended; "stopped" if its end was not awaited, as after Ctrl-C."""
        self._ended_at = 0.0

    def begin(self) -> None:
        """Start the recording: all times are counted from now."""
        self._started_at = self._clock()

    def note_head(self, response: Response) -> None:
        """Record the time and the HTTP version of the response's head; httpx calls this method."""
        self._head_at = self._now()
        self._version = response.http_version

    def watch(self, open_source: Callable[[], SyncSource]) -> None:
        """Open the answer and record its body up to the end."""
        from httpx import HTTPError

        try:
            source = open_source()
            self._head = source.head
            with ExitStack() as stack:
                stack.callback(source.close)
                self._ended = "end" if self._read(source) else "stopped"
        except (HTTPError, StreamError) as error:
            self._ended, self._failure = "broken", error
        finally:
            self._ended_at = self._now()

    def _read(self, source: SyncSource) -> bool:
        """Record the chunks of a body; return False if the limit of bytes was reached before the end."""
        size = 0
        for piece in source.chunks:
            self._pieces.append((self._now(), piece))
            size += len(piece)
            if size > _MAX_BYTES:
                return False
        return True

    def _now(self) -> float:
        return self._clock() - self._started_at

    def build_answer(self, coding: str, format: str | None) -> ProbedAnswer:
        """Return the recorded answer; if the recorded body cannot be read as an answer, with the error."""
        counter = _EventCounter(self._head)
        arrivals = [TimedChunk(at, len(piece), counter.count(piece)) for at, piece in self._pieces]
        departures, error = self._read_answer(format)
        leaked = departures.get("call_in_text")
        return ProbedAnswer(
            coding=coding,
            head=self._head,
            version=self._version,
            head_at=self._head_at,
            arrivals=arrivals,
            ended_at=self._ended_at,
            ended=self._ended,
            error=error,
            kind=counter.kind,
            is_document="not_streamed" in departures,
            call_in_text="" if leaked is None else leaked.rule.rpartition("(")[2].rstrip(")"),
        )

    def _read_answer(self, format: str | None) -> tuple[Departures, StreamError | None]:
        """Read the recorded body with a `Stream`; return its departures, and its error or None."""
        if isinstance(self._failure, StreamError):
            return Departures(), self._failure
        if self._head is None:
            return Departures(), None
        # `_replay` yields the recorded chunks, then raises the failure, if there was one.
        source = SyncSource(self._replay(), lambda: None, self._head, self._head.content_coding)
        error: StreamError | None = None
        with Stream(source, format=cast("FormatName | None", format)) as stream:
            try:
                for _ in stream:
                    pass
            except StreamError as raised:
                error = raised
        if self._ended == "stopped" and isinstance(error, StreamTruncated):
            # The probe itself has cut the answer.
            error = None
        return stream.departures, error

    def _replay(self) -> Iterator[bytes]:
        """Yield the recorded chunks, then raise the error with which the body ended, if any."""
        for _, piece in self._pieces:
            yield piece
        if self._failure is not None:
            raise self._failure


class _FramingParser(Protocol):
    """A parser of a framing, such as SSE: for each chunk, it returns the frames that the chunk completes."""

    def frames(self, chunk: bytes, /) -> Sequence[object]: ...


class _EventCounter:
    """Counts the events that each chunk of a body completes, whatever the format is."""

    def __init__(self, head: ResponseHead | None) -> None:
        self._limits = Limits()
        self._content_type = None if head is None else head.content_type
        self._decoder = ContentDecoder("" if head is None else head.content_coding, limits=self._limits)
        self._start = b""
        """The first bytes, until they reveal the kind of body."""
        self._framing: _FramingParser | None = None
        """Cuts the body into events; None until the kind is known, and for plain text."""
        self.kind: BodyKind = "undecided"

    def count(self, piece: bytes) -> int:
        return sum(map(self._count, self._decoder.feed(piece)))

    def _count(self, data: bytes) -> int:
        """Return the number of events that decoded bytes complete; detect the kind of body first."""
        if self.kind == "undecided":
            self._start += data
            self.kind = sniff(self._start, self._content_type, over=False)
            self._framing = self._framing_of(self.kind)
            # Once the kind is known, the parser reads all bytes from the start.
            data = self._start
        if self.kind == "undecided":
            return 0
        # Plain text has no events: each chunk counts as one.
        return 1 if self._framing is None else len(self._framing.frames(data))

    def _framing_of(self, kind: BodyKind) -> _FramingParser | None:
        """Return a parser for a kind of body; None for plain text, or while the kind is undecided."""
        if kind == "sse":
            return SSEParser(limits=self._limits)
        if kind == "json":
            return JSONBody(limits=self._limits)
        return AWSEventStreamParser(limits=self._limits) if kind == "aws-eventstream" else None
