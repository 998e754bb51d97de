"""Sends the request that cancels an answer which its provider writes in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import StreamError
from tokenstream.stream._log import inform

if TYPE_CHECKING:
    from tokenstream._sources import AsyncSource, LazySource, SyncSource
    from tokenstream.stream._log import HasOrigin


def send_now(cancelling: LazySource, of: HasOrigin | None = None) -> None:
    """Open and close a source, to send the request that cancels the answer `of`; a failure is only logged."""
    try:
        source = cancelling.open()
        _check(source, of)
        source.close()
    except StreamError as error:
        _report(type(error).__name__, of)


async def send(cancelling: LazySource, of: HasOrigin | None = None) -> None:
    """Open and close an asynchronous source, as `send_now` does."""
    try:
        source = await cancelling.open()
        _check(source, of)
        await source.close()
    except StreamError as error:
        _report(type(error).__name__, of)


def _check(source: SyncSource | AsyncSource, of: HasOrigin | None) -> None:
    """Log that an answer was not cancelled, if the server has refused to."""
    if source.head is not None and source.head.refuses:
        _report(f"status {source.head.status}", of)


def _report(why: str, of: HasOrigin | None) -> None:
    """Log that an answer was not cancelled."""
    inform("the answer may still run at the provider, which was asked to cancel it: %s", why, of=of)
