"""Content codings of HTTP (RFC 9110 §8.4): the decompression of a body."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamError, StreamTruncated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tokenstream._basics.loose import AnyFunction
    from tokenstream.limits import Limits

_PIECE = 1024 * 1024
"""Maximum bytes to decompress at once, so that a decompression bomb is noticed after one piece."""
_STEP = 256
"""Compressed bytes that are passed to br and zstd at once.

If a slice contains a fault, their packages return nothing of what they decompressed
from that slice; and 256 bytes of zstd can expand to 8 MiB.
"""
_ZSTD_WINDOW_LOG = 23
"""Maximum window of zstd, as a power of two: RFC 9659 allows 8 MiB for a content coding."""
WAY_OUT = "ask for an uncompressed one with the header Accept-Encoding: identity"

_MOST_CODINGS = 5
_SLICE = 64 * 1024
"""The most decompressed bytes that are read between two looks at the clock."""


class Decompressor(ABC):
    """Decompresses the data of one coding.

    Args:
        name: The coding's name in Content-Encoding.
    """

    ended = False
    """True if the data read so far ends with the end marker; padding after it does not count."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.has_input = False
        self.size = 0
        """Number of bytes decompressed so far."""

    @abstractmethod
    def decompress(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces that `data` completes, none of them empty; a fault is then a `ProtocolError`."""

    def make_broken_error(self) -> ProtocolError:
        return ProtocolError(
            f"the body's compression is broken: it is labelled {self.name} and cannot be read so; {WAY_OUT}"
        )

    def make_missing_error(self, install: str) -> ProtocolError:
        return ProtocolError(
            f"the body is compressed with {self.name}, and the package that reads it is not installed: "
            f"install {install}, or {WAY_OUT}"
        )


class _ZlibLayer(Decompressor):
    """Base of the codings that zlib decompresses, one stream at a time."""

    def inflate(self, stream: zlib._Decompress, data: bytes) -> Generator[bytes, None, bytes]:
        """Yield the pieces that `data` completes; return the bytes after the stream's end, b"" before."""
        while True:
            copy = stream.copy()
            try:
                piece = stream.decompress(data, _PIECE)
            except zlib.error as fault:
                # zlib discards the output before the fault, so it is decompressed again from the copy.
                yield from _read_until_fault(copy, data)
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
    # Halve the input until it can be decompressed without the fault, then go on with the rest. The fault is
    # always in the rest, so that at last a single byte cannot be decompressed.
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
        """True once bytes after a member were ignored, as all further bytes will be."""

    def decompress(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = self._find_next_member(data)
            if self._member is None:
                # The rest is padding, or too short to tell.
                return
            # The result of `inflate` is the data after the member.
            data = yield from self.inflate(self._member, data)
            if self.ended:
                self._member = None

    def _find_next_member(self, data: bytes) -> bytes:
        """Begin another member in the data, or else ignore them as padding; return the bytes to read."""
        data = (self._undecided + data).lstrip(b"\0")
        self._undecided = b""
        if not data or self._padding:
            return b""
        # A member begins with 1F 8B. Data with only one of these bytes is read, too, so that zlib refuses it.
        if data[0] in b"\x1f\x8b" or data[1:2] == b"\x8b":
            self._member, self.ended = _make_gzip_reader(), False
            return data
        if len(data) == 1:
            self._undecided = data
        else:
            self._padding = True
        return b""


def _make_gzip_reader() -> zlib._Decompress:
    """Return a decompressor of one gzip member; zlib uses `| 16` to mean a gzip header."""
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


class _Deflate(_ZlibLayer):
    """deflate: with the zlib header that the standard requires, or without it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._head = b""
        """The first byte, until the second one tells if there is a header; then empty."""
        self._stream: zlib._Decompress | None = None
        """The decompressor; None until the first two bytes have arrived."""

    def decompress(self, data: bytes) -> Iterator[bytes]:
        """Yield the output for `data`; wait for two bytes to see if there is a zlib header."""
        if self.ended:
            # Bytes after the end are ignored.
            return
        if self._stream is None:
            data = self._head = self._head + data
            if len(data) < 2:
                # The first two bytes tell whether there is a header.
                return
            # The zlib header: the method is deflate, and the two bytes are a multiple of 31.
            has_header = data[0] & 0x8F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
            self._head = b""
        yield from self.inflate(self._stream, data)


class _Brotli(Decompressor):
    """br, decompressed by one of two packages with the same interface."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        module = _import_first("brotli", "brotlicffi")
        # Before version 1.2, the output of one call could not be limited.
        if module is None or not hasattr(module.Decompressor, "can_accept_more_data"):
            raise self.make_missing_error("brotli>=1.2")
        self._stream: Any = module.Decompressor()
        self._fault: type[Exception] = module.error

    def decompress(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _STEP):
            if self.ended:
                # Brotli allows no bytes after the end of the stream.
                raise self.make_broken_error()
            piece = self._process(data[start : start + _STEP])
            # The decompressor may still hold output, even if `can_accept_more_data` is True.
            while piece:
                yield piece
                piece = self._process(b"")
            self.ended = self._stream.is_finished()

    def _process(self, data: bytes) -> bytes:
        """Return the next piece of output, at most `_PIECE` bytes; b"" if more data is needed."""
        try:
            piece: bytes = self._stream.process(data, output_buffer_limit=_PIECE)
        except self._fault as fault:
            raise self.make_broken_error() from fault
        return piece


class _Zstd(Decompressor):
    """zstd: one or more frames in a row, decompressed by the standard library or by `zstandard`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        module = _import_first("compression.zstd", "zstandard")
        if module is None:
            raise self.make_missing_error("zstandard")
        self._make_reader: AnyFunction = _choose_zstd(module)
        self._frame: Any = self._make_reader()
        self._fault: type[Exception] = module.ZstdError

    def decompress(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _STEP):
            unread = data[start : start + _STEP]
            while unread:
                if self._frame.eof:
                    self._frame = self._make_reader()
                try:
                    piece: bytes = self._frame.decompress(unread)
                except self._fault as fault:
                    raise self.make_broken_error() from fault
                self.ended = self._frame.eof
                if piece:
                    yield piece
                # Data after the end of a frame begin the next frame.
                unread = self._frame.unused_data if self.ended else b""


def _choose_zstd(module: Any) -> AnyFunction:  # noqa: ANN401 - a module that may be missing
    """Return a function that makes a reader of one zstd frame."""
    # Only the standard library's module has this name.
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


DECOMPRESSORS: dict[str, Callable[[str], Decompressor]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


class ContentDecoder(ErrorKeeper):
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
        >>> import zlib
        >>> from tokenstream.limits import Limits
        >>> decoder = ContentDecoder("deflate", limits=Limits())
        >>> decoder.feed(zlib.compress(b"Hello")), decoder.ended
        ([b'Hello'], True)
    """

    def __init__(self, coding: str, *, limits: Limits) -> None:
        self.error: StreamError | None = None
        self._limits = limits
        names = [name.strip().lower() for name in coding.split(",")]
        # The coding applied last is listed last and undone first.
        self._names = [name for name in reversed(names) if name not in ("", "identity")]
        self._decompressors: list[Decompressor] = []
        """The decompressors for the codings in `_names`; made with the first chunk."""
        self._input_ended = False

    @property
    def ended(self) -> bool:
        """True if every coding has reached its end marker; always True without codings."""
        return len(self._decompressors) == len(self._names) and all(
            decompressor.ended for decompressor in self._decompressors
        )

    def feed(self, data: bytes | bytearray | memoryview, *, now: float = 0.0) -> list[bytes]:
        """Return the bytes that can be decompressed with this chunk, in pieces."""
        return list(self.pieces(data))

    def pieces(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """Yield the pieces that `feed` would return, one at a time.

        This way only one piece is in memory at a time, however large the decompressed
        bytes are. Read all pieces before the next call.
        """
        chunk = self._accept(data)
        return iter(()) if self.error is not None or not chunk else self._decode_pieces(chunk)

    def slices(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes that `pieces` would yield, at most 64 KB at a time.

        Few compressed bytes may be a whole second of work for the reader, who can look at the clock between
        two slices.
        """
        for piece in self.pieces(data):
            if len(piece) <= _SLICE:
                yield piece
            else:
                for start in range(0, len(piece), _SLICE):
                    yield piece[start : start + _SLICE]

    def _decode_pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the decompressed pieces of a chunk; an error ends them and sets `error`."""
        try:
            # The decompressors are made with the first chunk, so that an unknown coding becomes `error`, too.
            if len(self._decompressors) < len(self._names):
                self._decompressors = self._make_decompressors()
            yield from self._decompress(0, chunk)
        except StreamError as error:
            # The traceback would keep the chunk in memory.
            self.error = error.with_traceback(None)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """End the input, and return []; if an end marker is missing, the body was cut, and `error` is set."""
        self._input_ended = True
        for decompressor in self._decompressors:
            if self.error is None and decompressor.has_input and not decompressor.ended:
                self.error = StreamTruncated(
                    f"the compressed body was cut: the end marker of its {decompressor.name} coding "
                    "did not come; asking again may help"
                )
        return []

    def _accept(self, data: object) -> bytes:
        """Return a chunk as immutable bytes; raise an error if it is not bytes, or if the input has ended."""
        if isinstance(data, memoryview):
            data = data.tobytes()
        elif not isinstance(data, bytes | bytearray):
            raise MisuseError(f"ContentDecoder.feed takes the bytes of a body, not {type(data).__name__}")
        if self._input_ended:
            raise MisuseError("ContentDecoder.feed came after end(); a new body needs a new decoder")
        return bytes(data)

    def _make_decompressors(self) -> list[Decompressor]:
        """Return the decoders of the body's codings, in the order in which they are undone."""
        if len(self._names) > _MOST_CODINGS:
            raise ProtocolError(f"the body has more than {_MOST_CODINGS} content codings; {WAY_OUT}")
        decompressors: list[Decompressor] = []
        for name in self._names:
            kind = DECOMPRESSORS.get(name)
            if kind is None:
                raise ProtocolError(f"the body's content coding {name[:40]!r} is unknown; {WAY_OUT}")
            decompressors.append(kind(name))
        return decompressors

    def _decompress(self, depth: int, data: bytes) -> Iterator[bytes]:
        """Yield the pieces that result from undoing all codings from `depth` on."""
        if depth == len(self._decompressors):
            yield data
            return
        decompressor, limit = self._decompressors[depth], self._limits.body
        decompressor.has_input = True
        for piece in decompressor.decompress(data):
            # The bytes up to the limit are passed on before the error is raised.
            room = limit - decompressor.size
            decompressor.size += len(piece)
            if room:
                yield from self._decompress(depth + 1, piece[:room])
            if decompressor.size > limit:
                raise LimitExceeded(limit="body", value=limit)
