"""Content codings of HTTP (RFC 9110 §8.4): the decompression of a body."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamError, StreamTruncated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tokenstream.limits import Limits

_PIECE = 1024 * 1024
"""Maximum bytes to decompress at once, so that a decompression bomb is noticed after one piece."""
_SLICE = 256
"""Compressed bytes that are passed to br and zstd at once.

If a slice contains a fault, their packages return nothing of what they decompressed
from that slice; and 256 bytes of zstd can expand to 8 MiB.
"""
_MOST_CODINGS = 5
_ZSTD_WINDOW_LOG = 23
"""Maximum window of zstd, as a power of two: RFC 9659 allows 8 MiB for a content coding."""
_WAY_OUT = "ask for an uncompressed one with the header Accept-Encoding: identity"


class ContentDecoder:
    """Undo the content codings of a body, and return each byte as soon as it can be decompressed.

    Always available are gzip, x-gzip, identity, and deflate (with its zlib header
    or without it, as some servers send it). br needs the package `brotli` or
    `brotlicffi`; zstd needs `compression.zstd`, which Python 3.14 has, or the
    package `zstandard`.

    Consecutive gzip members or zstd frames are read as one body. Bytes after
    the end are treated as urllib3 and httpx treat them: after gzip and deflate they
    are ignored (padding with zeros is usual), after br and zstd they are an error. An
    empty body is not an error: a server with nothing to compress may send none.

    Args:
        coding: The value of Content-Encoding; several codings are separated by commas.
        limits: `Limits.body` limits the number of decompressed bytes.

    Example:
        >>> from tokenstream.limits import Limits
        >>> decoder = ContentDecoder("deflate", limits=Limits())
        >>> decoder.feed(zlib.compress(b"Hello")), decoder.ended
        ([b'Hello'], True)
    """

    stop: str | None = None
    """Always None: a content coding never asks to close the source."""

    def __init__(self, coding: str, *, limits: Limits) -> None:
        self.error: StreamError | None = None
        """The error that follows the bytes returned last, or None."""
        self._limits = limits
        names = [name.strip().lower() for name in coding.split(",")]
        # The coding applied last is listed last and undone first.
        self._names = [name for name in reversed(names) if name not in ("", "identity")]
        self._layers: list[_Layer] = []
        self._over = False

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    @property
    def ended(self) -> bool:
        """True if every coding has reached its end marker; always True without codings."""
        return len(self._layers) == len(self._names) and all(layer.ended for layer in self._layers)

    def feed(self, data: bytes | bytearray | memoryview, *, now: float = 0.0) -> list[bytes]:
        """Return the bytes that can be decompressed with this chunk, in pieces.

        Args:
            data: Bytes of the body as the server sent them.
            now: Not used; every stage has this parameter.
        """
        return list(self.pieces(data))

    def pieces(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """Yield the pieces that `feed` would return, one at a time.

        This way only one piece is in memory at a time, however large the decompressed
        bytes are. Read all pieces before the next call.

        Args:
            data: Bytes of the body as the server sent them.
        """
        chunk = self._accept(data)
        return iter(()) if self.error is not None or not chunk else self._decode_pieces(chunk)

    def _decode_pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the decompressed pieces of a chunk; an error ends them and sets `error`."""
        try:
            if len(self._layers) < len(self._names):
                self._layers = self._open()
            yield from self._undo(0, chunk)
        except StreamError as error:
            self.error = error.with_traceback(None)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """End the input; if an end marker is missing, the body was cut, and `error` is set.

        Args:
            now: Not used; every stage has this parameter.
        """
        self._over = True
        for layer in self._layers:
            if self.error is None and layer.seen and not layer.ended:
                self.error = StreamTruncated(
                    f"the compressed body was cut: the end marker of its {layer.name} coding did not come; "
                    "asking again may help"
                )
        return []

    def _accept(self, data: object) -> bytes:
        """Return a chunk as immutable bytes; raise an error if it is not bytes, or if the input has ended."""
        if isinstance(data, memoryview):
            data = data.tobytes()
        elif not isinstance(data, bytes | bytearray):
            raise MisuseError(f"ContentDecoder.feed takes the bytes of a body, not {type(data).__name__}")
        if self._over:
            raise MisuseError("ContentDecoder.feed came after end(); a new body needs a new decoder")
        return bytes(data)

    def _open(self) -> list[_Layer]:
        """Return the decoders of the body's codings, in the order in which they are undone."""
        if len(self._names) > _MOST_CODINGS:
            raise ProtocolError(f"the body has more than {_MOST_CODINGS} content codings; {_WAY_OUT}")
        layers: list[_Layer] = []
        for name in self._names:
            kind = _LAYERS.get(name)
            if kind is None:
                raise ProtocolError(f"the body's content coding {name[:40]!r} is unknown; {_WAY_OUT}")
            layers.append(kind(name))
        return layers

    def _undo(self, depth: int, data: bytes) -> Iterator[bytes]:
        """Yield the pieces that result from undoing all codings from `depth` on.

        Args:
            depth: The index of the first of these codings.
            data: The output of the coding before it, or the bytes of the body.

        Raises:
            StreamError: The data is broken, or a coding's output is larger than `Limits.body`.
        """
        if depth == len(self._layers):
            yield data
            return
        layer, most = self._layers[depth], self._limits.body
        layer.seen = True
        for piece in layer.undo(data):
            room = most - layer.given
            layer.given += len(piece)
            if room:
                yield from self._undo(depth + 1, piece[:room])
            if layer.given > most:
                raise LimitExceeded(limit="body", value=most)


class _Layer(ABC):
    """The decoder of one coding.

    Args:
        name: The coding's name in Content-Encoding.
    """

    ended = False
    """True if the data read so far ends with the end marker; padding after it does not count."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = False
        """True once the decoder has received a byte."""
        self.given = 0
        """Number of bytes decompressed."""

    @abstractmethod
    def undo(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces that `data` completes, none of them empty.

        Raises:
            ProtocolError: The data is broken; the pieces before the fault have been yielded.
        """

    def make_broken_error(self) -> ProtocolError:
        """Return the error for data that the coding does not allow."""
        return ProtocolError(
            f"the body's compression is broken: it is labelled {self.name} and cannot be read so; {_WAY_OUT}"
        )

    def make_missing_error(self, install: str) -> ProtocolError:
        """Return the error for a coding whose package is not installed."""
        return ProtocolError(
            f"the body is compressed with {self.name}, and the package that reads it is not installed: "
            f"install {install}, or {_WAY_OUT}"
        )


class _ZlibLayer(_Layer):
    """Base of the codings that zlib decompresses, one stream at a time."""

    def inflate(self, stream: zlib._Decompress, data: bytes) -> Generator[bytes, None, bytes]:
        """Yield the pieces that `data` completes, and return the bytes after the end of the stream."""
        while True:
            before = stream.copy()
            try:
                piece = stream.decompress(data, _PIECE)
            except zlib.error as fault:
                yield from _read_until_fault(before, data)
                raise self.make_broken_error() from fault
            if piece:
                yield piece
            if stream.eof:
                self.ended = True
                return stream.unused_data
            data = stream.unconsumed_tail
            # After a full piece zlib may hold more output, even when all input was taken.
            if not data and len(piece) < _PIECE:
                return b""


def _read_until_fault(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yield the output before the fault in `data`; zlib itself discards that output when it raises."""
    # Halve the input until it can be decompressed without the fault, then go on with the rest.
    size = len(data)
    while True:
        size = max(1, size // 2)
        trial = stream.copy()
        try:
            piece = trial.decompress(data[:size])
        except zlib.error:
            if size == 1:
                return
        else:
            stream, data = trial, data[size:]
            if piece:
                yield piece


class _Gzip(_ZlibLayer):
    """gzip: one or more members in a row."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._member: zlib._Decompress | None = _make_gzip_reader()
        # A single byte after a member, which may begin the next member.
        self._undecided = b""
        self._padding = False

    def undo(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = self._find_next_member(data)
            if self._member is None:
                return
            data = yield from self.inflate(self._member, data)
            if self.ended:
                self._member = None

    def _find_next_member(self, data: bytes) -> bytes:
        """Begin another member, if the data has one, and return the bytes still to be read.

        Bytes that do not begin a member are padding, which is ignored to the end of the body.
        """
        data = (self._undecided + data).lstrip(b"\0")
        self._undecided = b""
        if not data or self._padding:
            return b""
        # A member begins with 1F 8B. If only one of these two bytes is right, the member is broken.
        if data[0] in b"\x1f\x8b" or data[1:2] == b"\x8b":
            self._member, self.ended = _make_gzip_reader(), False
            return data
        if len(data) == 1:
            self._undecided = data
        else:
            self._padding = True
        return b""


def _make_gzip_reader() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


class _Deflate(_ZlibLayer):
    """deflate: with the zlib header that the standard requires, or without it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def undo(self, data: bytes) -> Iterator[bytes]:
        if self.ended:
            return
        if self._stream is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            # The zlib header: the method is deflate, and the two bytes are a multiple of 31.
            has_header = data[0] & 0x8F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
            self._head = b""
        yield from self.inflate(self._stream, data)


class _Brotli(_Layer):
    """br, decompressed by one of two packages with the same interface."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        module = _import_first("brotli", "brotlicffi")
        # Before version 1.2, the output of one call could not be limited.
        if module is None or not hasattr(module.Decompressor, "can_accept_more_data"):
            raise self.make_missing_error("brotli>=1.2")
        self._stream: Any = module.Decompressor()
        self._fault: type[Exception] = module.error

    def undo(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            if self.ended:
                raise self.make_broken_error()
            piece = self._process(data[start : start + _SLICE])
            # The decompressor may still hold output, even if `can_accept_more_data` is True.
            while piece:
                yield piece
                piece = self._process(b"")
            self.ended = self._stream.is_finished()

    def _process(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._stream.process(data, output_buffer_limit=_PIECE)
        except self._fault as fault:
            raise self.make_broken_error() from fault
        return piece


class _Zstd(_Layer):
    """zstd: one or more frames in a row, decompressed by the standard library or by `zstandard`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        module = _import_first("compression.zstd", "zstandard")
        if module is None:
            raise self.make_missing_error("zstandard")
        self._begin: Callable[[], Any] = _choose_zstd(module)
        self._frame: Any = self._begin()
        self._fault: type[Exception] = module.ZstdError

    def undo(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            rest = data[start : start + _SLICE]
            while rest:
                if self._frame.eof:
                    self._frame = self._begin()
                try:
                    piece: bytes = self._frame.decompress(rest)
                except self._fault as fault:
                    raise self.make_broken_error() from fault
                self.ended = self._frame.eof
                if piece:
                    yield piece
                rest = self._frame.unused_data if self.ended else b""


def _choose_zstd(module: Any) -> Callable[[], Any]:  # noqa: ANN401 - a module that may be missing
    """Return a function that makes a reader of one frame; the readers of both packages work alike."""
    if hasattr(module, "DecompressionParameter"):
        options = {module.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        return lambda: module.ZstdDecompressor(options=options)
    return lambda: module.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG).decompressobj()


def _import_first(*names: str) -> Any:  # noqa: ANN401 - a module that may be missing
    """Return the first of these modules that is installed, or None."""
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


_LAYERS: dict[str, Callable[[str], _Layer]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
