"""Ending an answer early: who ends it first, and the request that cancels it at its provider."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tokenstream.errors import StreamError
from tokenstream.stream._log import HasOrigin, inform

if TYPE_CHECKING:
    from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource


class EndVerdict:
    """Decides once how a stream ends: by itself or by a stop, whichever is first."""

    def __init__(self) -> None:
        # Held for two statements only. Reentrant, because a signal handler may call `stop` between them.
        self._lock = threading.RLock()
        self._decided = False
        self.end_request: str | None = None
        """Reason of the first `stop` or `close` before the end; None if neither was called."""
        self.stop_reason: str | None = None
        """Reason of `stop`; None if the stream was only closed."""
        self.is_asked = False
        """True once `stop` or `close` was called, also after the end: tools may still run then."""
        self.closed = False
        """True if the stream was closed before its end."""
        self.error_due: Exception | None = None
        """The error that ended the stream, until the loop raises it, which closes the source first."""

    def request_end(self, reason: str, *, closing: bool = False) -> None:
        """Request the end of the stream, or only its `closing`, which is not reported as a stop.

        Only the first request counts, and none once the ending is decided.
        """
        with self._lock:
            self.is_asked = True
            if not self._decided and self.end_request is None:
                self.end_request = reason
                self.stop_reason = None if closing else reason

    def decide(self) -> bool:
        """Decide the ending; return True if the end was requested before. Later requests have no effect."""
        with self._lock:
            self._decided = True
        return self.end_request is not None


def send_now(cancelling: LazySource, of: HasOrigin | None = None) -> None:
    """Open and close a source, to send the request that cancels the answer `of`; a failure is only logged."""
    try:
        source = cancelling.open()
        _log_refused(source, of)
        source.close()
    except StreamError as error:
        _report(type(error).__name__, of)


async def send(cancelling: LazySource, of: HasOrigin | None = None) -> None:
    """Open and close an asynchronous source, as `send_now` does."""
    try:
        source = await cancelling.open()
        _log_refused(source, of)
        await source.close()
    except StreamError as error:
        _report(type(error).__name__, of)


def _log_refused(source: SyncSource | AsyncSource, of: HasOrigin | None) -> None:
    """Log that an answer was not cancelled, if the server has refused to."""
    if source.head is not None and source.head.refuses:
        _report(f"status {source.head.status}", of)


def _report(why: str, of: HasOrigin | None) -> None:
    inform("the answer may still run at the provider, which was asked to cancel it: %s", why, of=of)
