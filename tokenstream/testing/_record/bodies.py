"""Functions that record the body of a response while the application reads it.

*Noting* means adding the bytes to the `Notes`, from which the recording is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._sources import from_response
from tokenstream._sources.aiohttp import is_aiohttp
from tokenstream._sources.boto3 import is_event_stream, stream_of
from tokenstream._sources.http_client import is_http_client
from tokenstream._sources.kinds import class_name_of
from tokenstream._sources.requests import is_requests, is_urllib3
from tokenstream.errors import MisuseError
from tokenstream.stream._tap.items import can_watch_body, watch_body
from tokenstream.stream._tap.wrappers import response_of
from tokenstream.testing._record.aiohttp_reads import note_aiohttp
from tokenstream.testing._record.sync_reads import (
    note_event_stream,
    note_http_client,
    note_requests,
    note_urllib3,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.testing._record.notes import Notes


def note_body(source: object, notes: Notes) -> bool:
    """Start noting the body of a response, or of the response that an SDK's stream reads.

    Returns:
        False if the source neither is nor contains a response.

    Raises:
        MisuseError: The body was read or closed before.
    """
    source = stream_of(source)
    response = response_of(source)
    if response is not None:
        note_httpx(response, notes)
        return True
    for is_of_kind, note in _NOTE_FUNCTIONS:
        if is_of_kind(source):
            note(source, notes)
            return True
    return False


def note_httpx(response: object, notes: Notes) -> None:
    """Record the body of an httpx or httpx2 response: at once if it was read already, else as it is read.

    Raises:
        MisuseError: The body was read in a loop, which did not keep it, or was closed.
    """
    notes.note_method(response)
    if can_watch_body(response):
        watch_body(response, notes)
    elif hasattr(response, "_content"):
        notes.note_complete(from_response(response))
    else:
        raise _already_read(response)


def _already_read(response: object) -> MisuseError:
    return MisuseError(f"{class_name_of(response)} was read or closed before; record it before that")


_NOTE_FUNCTIONS: list[tuple[Callable[[Any], bool], Callable[[Any, Notes], None]]] = [
    (is_requests, note_requests),
    (is_urllib3, note_urllib3),
    (is_event_stream, note_event_stream),
    (is_http_client, note_http_client),
    (is_aiohttp, note_aiohttp),
]
"""Pairs of functions: the first recognises a kind of response, the second records its body."""
