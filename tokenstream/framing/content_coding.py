"""Content codings of HTTP (RFC 9110 §8.4): a body as it was before the server compressed it."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamError, StreamTruncated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tokenstream.limits import Limits

__all__ = ["ContentDecoder"]

_PIECE = 1024 * 1024
"""Most bytes that are decompressed at once: a bomb grows no further before it is measured."""
_SLICE = 256
"""Compressed bytes that are given to br and zstd at once.

What their packages decompress before a fault in the same slice is lost, and 256
bytes of zstd can grow to 8 MiB.
"""
_MOST_CODINGS = 5
_ZSTD_WINDOW_LOG = 23
"""RFC 9659: as a content coding, zstd may ask for no more than 8 MiB."""
_WAY_OUT = "ask for an uncompressed one with the header Accept-Encoding: identity"


class ContentDecoder:
    """Undo the content codings of a body, as soon as what was compressed can be told.

    gzip, x-gzip, deflate (with its zlib header or, as some servers send it,
    without) and identity are always there; br takes the package `brotli` or
    `brotlicffi`, zstd `compression.zstd` of Python 3.14 or the package `zstandard`.

    gzip members and zstd frames that follow each other are one body. What follows
    the end is treated as urllib3 and httpx do: after gzip and deflate it is ignored
    (padding with zeros is usual), after br and zstd it is an error. A server that
    has nothing to compress may send nothing at all: an empty body is no error here.

    Args:
        coding: The value of Content-Encoding; several codings are separated by commas.
        limits: `body` bounds the decompressed bytes.

    Example:
        >>> from tokenstream.limits import Limits
        >>> decoder = ContentDecoder("deflate", limits=Limits())
        >>> decoder.feed(zlib.compress(b"Hello")), decoder.ended
        ([b'Hello'], True)
    """

    stop: str | None = None
    """A content coding never asks to close the source."""

    def __init__(self, coding: str, *, limits: Limits) -> None:
        self.error: StreamError | None = None
        """What went wrong after the bytes that were returned last."""
        self._limits = limits
        names = [name.strip().lower() for name in coding.split(",")]
        # The one that was applied last stands last and is undone first.
        self._names = [name for name in reversed(names) if name not in ("", "identity")]
        self._layers: list[_Layer] = []
        self._over = False

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    @property
    def ended(self) -> bool:
        """Whether what was compressed has its end marker; always true where nothing was."""
        return len(self._layers) == len(self._names) and all(layer.ended for layer in self._layers)

    def feed(self, data: bytes | bytearray | memoryview, *, now: float = 0.0) -> list[bytes]:
        """Return what these bytes complete, in pieces.

        Args:
            data: Bytes of the body as they came over the wire.
            now: Unused; every stage takes it.
        """
        return list(self.pieces(data))

    def pieces(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """Give what these bytes complete piece by piece, as `feed` returns it.

        Whoever takes one piece at a time holds no more than that, however much the
        bytes grow to; all of them are to be taken, unless nothing more is wanted at all.

        Args:
            data: Bytes of the body as they came over the wire.
        """
        chunk = self._accept(data)
        return iter(()) if self.error is not None or not chunk else self._pieces(chunk)

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        try:
            if len(self._layers) < len(self._names):
                self._layers = self._open()
            yield from self._undo(0, chunk)
        except StreamError as error:
            self.error = error.with_traceback(None)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """Say that the input has ended; without the end marker it was cut.

        Args:
            now: Unused; every stage takes it.
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
        if isinstance(data, memoryview):
            data = data.tobytes()
        elif not isinstance(data, bytes | bytearray):
            raise MisuseError(f"ContentDecoder.feed takes the bytes of a body, not {type(data).__name__}")
        if self._over:
            raise MisuseError("ContentDecoder.feed came after end(); a new body needs a new decoder")
        return bytes(data)

    def _open(self) -> list[_Layer]:
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
    """One coding.

    Args:
        name: Its name in Content-Encoding.
    """

    ended = False
    """Whether the end marker was the last thing that came."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = False
        """Whether any byte has come."""
        self.given = 0
        """How many bytes were decompressed."""

    @abstractmethod
    def undo(self, data: bytes) -> Iterator[bytes]:
        """Give what `data` completes, never empty, then raise if it is broken."""

    def broken(self) -> ProtocolError:
        """Return the error for data that is not what the coding allows."""
        return ProtocolError(
            f"the body's compression is broken: it is labelled {self.name} and cannot be read so; {_WAY_OUT}"
        )

    def missing(self, install: str) -> ProtocolError:
        """Return the error for a coding that needs what is not installed."""
        return ProtocolError(
            f"the body is compressed with {self.name}, and what reads it is not installed: "
            f"install {install}, or {_WAY_OUT}"
        )


class _ZlibLayer(_Layer):
    """What zlib reads: one stream at a time."""

    def inflate(self, stream: zlib._Decompress, data: bytes) -> Generator[bytes, None, bytes]:
        """Give what `data` completes, and return what follows the end of the stream."""
        while True:
            before = stream.copy()
            try:
                piece = stream.decompress(data, _PIECE)
            except zlib.error as fault:
                yield from _until_fault(before, data)
                raise self.broken() from fault
            if piece:
                yield piece
            if stream.eof:
                self.ended = True
                return stream.unused_data
            data = stream.unconsumed_tail
            # A full piece may have left something within, even when all input was taken.
            if not data and len(piece) < _PIECE:
                return b""


def _until_fault(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Give what stands before the fault in `data`: zlib tells of the fault, and drops that."""
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
    """Members one after the other."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._member: zlib._Decompress | None = _gunzip()
        # A byte after a member that may begin another one.
        self._undecided = b""
        self._padding = False

    def undo(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = self._next(data)
            if self._member is None:
                return
            data = yield from self.inflate(self._member, data)
            if self.ended:
                self._member = None

    def _next(self, data: bytes) -> bytes:
        """Look for another member after one that has ended, and return its bytes."""
        data = (self._undecided + data).lstrip(b"\0")
        self._undecided = b""
        if not data or self._padding:
            return b""
        # One wrong byte in the two that begin a member is a fault of the member, and no padding.
        if data[0] in b"\x1f\x8b" or data[1:2] == b"\x8b":
            self._member, self.ended = _gunzip(), False
            return data
        if len(data) == 1:
            self._undecided = data
        else:
            self._padding = True
        return b""


def _gunzip() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


class _Deflate(_ZlibLayer):
    """With the zlib header that the standard asks for, or bare."""

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
            has_header = data[0] & 0x8F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
            self._head = b""
        yield from self.inflate(self._stream, data)


class _Brotli(_Layer):
    """br, by one of the two packages that have the same interface."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        module = _first_of("brotli", "brotlicffi")
        # Before 1.2 there was no bound on what one call returns.
        if module is None or not hasattr(module.Decompressor, "can_accept_more_data"):
            raise self.missing("brotli>=1.2")
        self._stream: Any = module.Decompressor()
        self._fault: type[Exception] = module.error

    def undo(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            if self.ended:
                raise self.broken()
            piece = self._process(data[start : start + _SLICE])
            # It may keep something back even where it says that it takes more.
            while piece:
                yield piece
                piece = self._process(b"")
            self.ended = self._stream.is_finished()

    def _process(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._stream.process(data, output_buffer_limit=_PIECE)
        except self._fault as fault:
            raise self.broken() from fault
        return piece


class _Zstd(_Layer):
    """Frames one after the other, by the standard library or the package."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        module = _first_of("compression.zstd", "zstandard")
        if module is None:
            raise self.missing("zstandard")
        self._begin: Callable[[], Any] = _standard_zstd(module)
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
                    raise self.broken() from fault
                self.ended = self._frame.eof
                if piece:
                    yield piece
                rest = self._frame.unused_data if self.ended else b""


def _standard_zstd(module: Any) -> Callable[[], Any]:  # noqa: ANN401 - a module that may be missing
    """Return what makes a reader of one frame; both packages' readers have the same interface."""
    if hasattr(module, "DecompressionParameter"):
        options = {module.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        return lambda: module.ZstdDecompressor(options=options)
    return lambda: module.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG).decompressobj()


def _first_of(*names: str) -> Any:  # noqa: ANN401 - a module that may be missing
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
