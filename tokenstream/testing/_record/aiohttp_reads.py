"""Recording of aiohttp responses: the object that is read is replaced by one that records the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream._sources.aiohttp import from_aiohttp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenstream._sources.foreign import AiohttpResponse
    from tokenstream.testing._record.notes import Notes

ReadT = TypeVar("ReadT")


def note_aiohttp(response: AiohttpResponse, notes: Notes) -> None:
    """Record the body of an aiohttp response: at once if it was read already, else as it is read."""
    notes.method = response.method
    source = from_aiohttp(response)
    # aiohttp keeps a body that was read as a whole; it is None otherwise.
    whole_body = getattr(response, "_body", None)
    notes.note_head(source.head, source.coding)
    if whole_body is not None:
        notes.see(whole_body)
        notes.end()
        return
    response.content = NotedContent(response.content, notes)  # type: ignore[misc, assignment] # it has the same methods
    for name in ("close", "release"):
        setattr(response, name, _wrap_close(getattr(response, name), notes))


def _wrap_close(method: Callable[[], Any], notes: Notes) -> Callable[[], Any]:
    """Return a replacement for a close method, which also ends the recording."""

    def close() -> object:
        """Close the response, and end the recording, even if closing fails."""
        try:
            return method()
        finally:
            notes.stop()

    return close


class NotedContent:
    """Replaces the body object of an aiohttp response, and records the bytes that are read from it."""

    def __init__(self, content: Any, notes: Notes) -> None:  # noqa: ANN401 - aiohttp's, with all ways of reading
        self._content = content
        self._content_class: Any = type(content)
        """The body's class, whose iteration methods are run on this object."""
        self._notes = notes
        self._unread = b""
        """Bytes that arrived before an error and have not been returned yet."""

    def __getattr__(self, name: str) -> object:
        if name == "_content":
            # `__init__` was not called, as in a copy: the lookup below would never end.
            raise AttributeError(name)
        if name.startswith("iter_"):
            # Bind the iteration methods to this object, so that they read through the methods below.
            return getattr(self._content_class, name).__get__(self)
        return getattr(self._content, name)

    def __aiter__(self) -> object:
        return self._content_class.__aiter__(self)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes; all of the body if `n` is negative."""
        data: bytes = await self._await_read(self._content.read(n))
        # A negative `n` reads to the end; 0 bytes are returned for `n` = 0 even before the end.
        self._note(data, is_end=n < 0 or (not data and n > 0))
        return data

    async def readany(self) -> bytes:
        """Read the bytes that have arrived."""
        return self._note_read(await self._await_read(self._content.readany()))

    async def readline(self, **options: object) -> bytes:
        """Read a line."""
        return self._note_read(await self._await_read(self._content.readline(**options)))

    async def readuntil(self, *args: object, **options: object) -> bytes:
        """Read up to a separator."""
        return self._note_read(await self._await_read(self._content.readuntil(*args, **options)))

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes."""
        data: bytes = await self._await_read(self._content.readexactly(n))
        self._note(data, is_end=False)
        return data

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read the bytes of one transfer chunk that have arrived; the second value is True at its end."""
        data, chunk_ended = await self._await_read(self._content.readchunk())
        # At the end of the body, aiohttp returns (b"", False).
        self._note(data, is_end=not data and not chunk_ended)
        return data, chunk_ended

    def read_nowait(self, n: int = -1) -> bytes:
        """Return buffered bytes without waiting."""
        data: bytes = self._content.read_nowait(n)
        self._note(data, is_end=False)
        return data

    def _read_nowait(self, n: int) -> bytes:
        """Return all bytes that had arrived before an error and were not read, whatever `n` is.

        The method replaces aiohttp's private one of this name.
        """
        unread, self._unread = self._unread, b""
        return unread

    def _note_read(self, data: bytes) -> bytes:
        """Record the bytes that a read has returned, and return them.

        Args:
            data: The bytes; if they are empty, the body has ended.
        """
        self._note(data, is_end=not data)
        return data

    def _note(self, data: bytes, *, is_end: bool) -> None:
        """Add bytes that were read to the recording; at the end of the body, write the recording."""
        if data:
            self._notes.see(data)
        if is_end:
            self._notes.end()

    async def _await_read(self, awaitable: Awaitable[ReadT]) -> ReadT:
        """Return the result of a read of the body; if it fails, record the bytes it took, and the failure."""
        try:
            return await awaitable
        except EOFError as error:
            # The body ended before the requested number of bytes.
            self._note(getattr(error, "partial", b""), is_end=True)
            raise
        except Exception as error:
            # aiohttp raises an error even if earlier bytes are unread: take these bytes out first.
            read_buffered = getattr(self._content, "_read_nowait", None)
            self._unread = read_buffered(-1) if read_buffered is not None else b""
            self._note(self._unread, is_end=False)
            self._notes.note_read_error(error, final=True)
            raise
