"""The conversion of any object to a source, according to the object's methods, not its class."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Callable, Iterable
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeGuard, cast

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream._basics.untrusted import is_mapping, is_mock
from tokenstream._sources import awaited, plain, requests
from tokenstream._sources.aiohttp import from_aiohttp, is_aiohttp
from tokenstream._sources.httpx import (
    from_async_holder,
    from_async_response,
    from_holder,
    from_response,
    is_response,
    response_beneath,
)
from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource, class_name_of
from tokenstream._sources.payloads import is_model_stream, is_whole
from tokenstream._sources.requests import from_http_client, is_http_client
from tokenstream._sources.websocket import OpenWebSocket, from_async_socket, from_socket, socket_of
from tokenstream.errors import MisuseError
from tokenstream.formats._detect.unknown import describe_bad_piece

_ADDRESS_OR_FILE = re.compile(
    r"(?:https?|wss?)://\S{1,2000}|[^\s{}\[\]<>\"]{1,1000}\.(?:sse|jsonl?|ndjson|eventstream|txt|log|gz|bin|raw)"
)
"""Matches a str that is an address or the name of a file, and cannot be a body."""
_IN_PIECES = frozenset((list, tuple, GeneratorType))
"""Classes whose objects are nothing but iterables."""
_STREAM_ATTRIBUTES = ("departures", "checkpoint", "final")
_ACCEPTED = (
    "a response (httpx, httpx2, requests, urllib3, http.client; AsyncStream: httpx, httpx2, aiohttp), a "
    "stream of an SDK (openai, anthropic, google-genai, mistralai, cohere, ollama, huggingface_hub, boto3, "
    "litellm), a model's stream of a framework (langchain, llama-index), a WebSocket (websockets, openai's "
    "realtime, google-genai's live), an httpx-sse EventSource, bytes, str, a Path, an open file, an iterable "
    "of bytes, str or dicts, or a context manager of one of these; AsyncStream takes lists, the asynchronous "
    "ones, and awaitables of them; of pyfetch in a browser, use `aconnect` after pyodide_httpx.patch_httpx()"
)


def sync_source(
    source: object, make_threaded: Callable[[object], LazySource | None] | None = None
) -> SyncSource | LazySource:
    """Return the source with which a `Stream` reads an object; a missing file is a FileNotFoundError.

    `make_threaded` converts an asynchronous object that is not bound to an event loop, if it can be read
    here. Without it, all asynchronous objects are refused.
    """
    kind: type = source.__class__
    if kind in _IN_PIECES:
        # None of the checks below can apply.
        return plain.from_iterable(cast("Iterable[Any]", source))
    source = requests.boto3_stream_of(source)
    if isinstance(source, SyncSource | LazySource):
        return source
    direct_source = _find_body(source) or _find_response(source)
    if direct_source is not None:
        return direct_source
    if is_asynchronous(source):
        # Futures and tasks, which have `get_loop`, can only be read in the event loop that made them.
        is_bound = is_aiohttp(source) or hasattr(source, "get_loop")
        threaded = None if make_threaded is None or is_bound else make_threaded(source)
        if threaded is not None:
            return threaded
        raise MisuseError(
            f"{class_name_of(source)} is asynchronous: read it with AsyncStream, in `async for`"
        )
    if plain.is_file(source):
        return plain.from_file(source)
    if _is_iterable(source):
        return plain.from_iterable(source)
    if awaited.is_manager_of_answer(source):
        return awaited.from_manager(source, sync_source)
    raise _unreadable_source_error(source)


def async_source(source: object) -> AsyncSource | LazySource:
    """Return the source with which an `AsyncStream` reads an object; FileNotFoundError for a missing file."""
    if isinstance(source, AsyncGeneratorType):
        # A generator is nothing but an asynchronous iterable, so the checks below are not needed.
        return plain.from_async_iterable(cast("AsyncIterable[Any]", source))
    return _find_async_source(requests.boto3_stream_of(source))


def _find_async_source(source: object) -> AsyncSource | LazySource:
    """Return the source with which an `AsyncStream` reads any object but an asynchronous generator."""
    if isinstance(source, AsyncSource | LazySource):
        return source
    body = _find_body(source)
    if body is not None:
        return plain.read_at_once(body)
    response = _find_async_response(source)
    if response is not None:
        return response
    # An object that is both a manager and an iterable, as the streams of SDKs are, is simply iterated over.
    if awaited.is_async_manager_of_answer(source) and not _is_async_iterable(source):
        return awaited.from_async_manager(source, async_source)
    # LangChain's stream is an iterable of events, but gives a whole message if it is awaited.
    if is_awaitable(source) and not is_model_stream(source):
        return awaited.from_awaitable(source, async_source)
    if _is_async_iterable(source):
        return plain.from_async_iterable(source)
    if isinstance(source, list | tuple):
        # They are all there. Another sync iterable might block the event loop: it is refused below.
        return plain.read_at_once(plain.from_iterable(cast("Iterable[Any]", source)))
    file: Any = source
    if plain.is_file(file) and file.seekable():
        # A file on disk does not wait for data, as a pipe does.
        return plain.read_at_once(plain.from_file(file))
    if plain.is_file(source) or _is_iterable(source) or awaited.is_manager_of_answer(source):
        raise MisuseError(f"{class_name_of(source)} is not asynchronous: read it with Stream, in `for`")
    raise _unreadable_source_error(source)


def _find_body(source: object) -> SyncSource | None:
    """Return the source of a whole body or of a path; None for any other object."""
    # The class is checked, because an instance of a mock has any attribute.
    if all(hasattr(source.__class__, name) for name in _STREAM_ATTRIBUTES):
        raise MisuseError(
            f"this {type(source).__name__} is already a stream: read it, without another one around it"
        )
    if isinstance(source, str) and _ADDRESS_OR_FILE.fullmatch(source):
        raise MisuseError(
            "a str is read as a body, but this one looks like an address or a file name: pass a pathlib.Path "
            "for a file, use connect or aconnect for an address, open a WebSocket with websockets or an SDK"
        )
    if isinstance(source, bytes | bytearray | memoryview | str):
        return plain.from_body(source)
    # An iterable is not read as a path, because a mock may have the methods of both.
    if isinstance(source, os.PathLike) and not isinstance(source, Iterable | AsyncIterable):
        return plain.from_path(cast("Any", source))
    return None


def _find_response(source: object) -> SyncSource | None:
    """Return the source of a response, a WebSocket or an SDK's stream; None for any other object."""
    if is_response(source):
        return from_response(source)
    if requests.is_requests(source):
        return requests.from_requests(source)
    if requests.is_urllib3(source):
        return requests.from_urllib3(source)
    if is_http_client(source):
        return from_http_client(source)
    if requests.is_event_stream(source):
        return requests.from_event_stream(source)
    socket = _find_socket(source, is_async=False)
    if socket is not None:
        return from_socket(socket)
    response = response_beneath(source)
    return None if response is None else from_holder(source, response)


def _find_async_response(source: object) -> AsyncSource | None:
    """Return the source of a response, a WebSocket or an SDK's stream; None for any other object."""
    if is_response(source):
        return from_async_response(source)
    if is_aiohttp(source):
        return from_aiohttp(source)
    if requests.is_requests(source) or requests.is_urllib3(source):
        if not requests.was_read(source):
            raise MisuseError(f"{class_name_of(source)} is not asynchronous: read it with Stream, in `for`")
        # The body is in memory, so no read waits.
        stored = _find_response(source)
        return None if stored is None else plain.read_at_once(stored)
    socket = _find_socket(source, is_async=True)
    if socket is not None:
        return from_async_socket(socket)
    response = response_beneath(source)
    return None if response is None else from_async_holder(source, response)


def _find_socket(source: object, *, is_async: bool) -> OpenWebSocket | None:
    """Return the WebSocket connection that an object is or wraps; None for any other object."""
    socket = socket_of(source)
    if socket is None or socket.is_async is is_async:
        return socket
    if is_async:
        raise MisuseError(f"{class_name_of(source)} is not asynchronous: read it with Stream, in `for`")
    raise MisuseError(f"{class_name_of(source)} is asynchronous: read it with AsyncStream, in `async for`")


def is_asynchronous(source: object) -> bool:
    """Return True for an object that can only be read in an event loop."""
    # aiohttp responses and awaitables may be iterable, too, but only in their event loop.
    if is_awaitable(source) or is_aiohttp(source):
        return True
    if _is_iterable(source) or awaited.is_manager_of_answer(source):
        return False
    return _is_async_iterable(source) or awaited.is_async_manager_of_answer(source)


def _is_iterable(source: object) -> TypeGuard[Iterable[Any]]:
    # Dicts and SDK objects do not count, because iterating over them returns keys or fields, not chunks.
    return not is_whole(source) and not is_mapping(source) and isinstance(source, Iterable)


def _is_async_iterable(source: object) -> TypeGuard[AsyncIterable[Any]]:
    return isinstance(source, AsyncIterable)


def _unreadable_source_error(source: object) -> MisuseError:
    """Return the error for an object that cannot be read, with advice on what to pass instead."""
    if is_mock(source):
        return describe_bad_piece(source)
    if is_whole(source):
        return MisuseError(
            f"{class_name_of(source)} is a whole answer, not a stream: pass stream=True in the request, "
            "or use the SDK's method that streams"
        )
    if requests.is_boto3_response(source):
        return MisuseError(
            "this response of boto3 has no stream: it is a whole answer, or one payload; ask with "
            "converse_stream or invoke_model_with_response_stream"
        )
    if is_mapping(source):
        return MisuseError(
            f"{class_name_of(source)} is one payload, or a whole answer: put it into a list, "
            f"or pass one of these: {_ACCEPTED}"
        )
    return MisuseError(f"{class_name_of(source)} cannot be read; pass one of these: {_ACCEPTED}")
