"""Content codings of HTTP (RFC 9110 §8.4): the decompression of a body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.kept_errors import raised_anew
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamError, StreamTruncated
from tokenstream.framing._decompressors import DECOMPRESSORS, WAY_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.framing._decompressors import Decompressor
    from tokenstream.limits import Limits

_MOST_CODINGS = 5
_SLICE = 64 * 1024
"""The most decompressed bytes that are read between two looks at the clock."""


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
        >>> import zlib
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
        self._decompressors: list[Decompressor] = []
        """The decompressors for the codings in `_names`; made with the first chunk."""
        self._input_ended = False

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise raised_anew(self.error)

    @property
    def ended(self) -> bool:
        """True if every coding has reached its end marker; always True without codings."""
        return len(self._decompressors) == len(self._names) and all(
            decompressor.ended for decompressor in self._decompressors
        )

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

    def slices(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes that `pieces` would yield, at most 64 KB at a time.

        Few compressed bytes may be a whole second of work for the reader, who can look at the clock between
        two slices.

        Args:
            data: Bytes of the body as the server sent them.
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
        """End the input, and return []; if an end marker is missing, the body was cut, and `error` is set.

        Args:
            now: Not used; every stage has this parameter.
        """
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
        """Return the decoders of the body's codings, in the order in which they are undone.

        Raises:
            ProtocolError: A coding is unknown or not available, or there are too many.
        """
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
        """Yield the pieces that result from undoing all codings from `depth` on.

        Args:
            depth: The index of the first of these codings.
            data: The output of the coding before it, or the bytes of the body.

        Raises:
            StreamError: The data is broken, or a coding's output is larger than `Limits.body`.
        """
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
