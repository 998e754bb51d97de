"""The readers of server-sent events, and what the SDKs use beneath their streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.compare.conformance.reader import HEADERS, PythonReader, found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.compare.conformance.answers import SSEEvent

_ALL = ("event", "data", "id")


def _plain(events: Iterable[Any]) -> list[SSEEvent]:
    """Return events as values; an id that is given only where it is set goes on, as the standard has it."""
    told: list[SSEEvent] = []
    last = ""
    for event in events:
        last = last if event.id is None else event.id
        told.append((event.event or "message", event.data, last))
    return told


def _httpx_sse(chunks: list[bytes]) -> list[SSEEvent]:
    httpx = found("httpx")
    served = httpx.MockTransport(lambda _: httpx.Response(200, headers=HEADERS, content=iter(chunks)))
    with (
        httpx.Client(transport=served) as client,
        found("httpx_sse").connect_sse(client, "GET", "http://reader.test") as source,
    ):
        return _plain(source.iter_sse())


def _httpx2(chunks: list[bytes]) -> list[SSEEvent]:
    httpx2 = found("httpx2")
    served = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=HEADERS, content=iter(chunks)))
    with httpx2.Client(transport=served) as client, client.sse("http://reader.test") as source:
        return _plain(source)


def _sseclient(chunks: list[bytes]) -> list[SSEEvent]:
    return _plain(found("sseclient").SSEClient(iter(chunks)).events())


def _openai(chunks: list[bytes]) -> list[SSEEvent]:
    return _plain(found("openai._streaming").SSEDecoder().iter_bytes(iter(chunks)))


def _anthropic(chunks: list[bytes]) -> list[SSEEvent]:
    response = found("httpx2").Response(200, headers=HEADERS, content=iter(chunks))
    return _plain(found("anthropic").Stream.raw_events(response))


def _google(chunks: list[bytes]) -> list[SSEEvent]:
    client = found("google.genai._api_client")
    response = found("httpx2").Response(200, headers=HEADERS, content=iter(chunks))
    # The payloads of a stream, before they are parsed as JSON.
    payloads = client.HttpResponse({}, response)._iter_response_stream()  # noqa: SLF001
    return [("message", data, "") for data in payloads]


READERS = [
    PythonReader(
        "httpx-sse",
        how="`connect_sse(client, …)`, `iter_sse()`",
        packages=("httpx-sse", "httpx"),
        events_of=_httpx_sse,
        sse=_ALL,
    ),
    PythonReader("httpx2", how="`client.sse(…)`", packages=("httpx2",), events_of=_httpx2, sse=_ALL),
    PythonReader(
        "sseclient-py",
        how="`SSEClient(chunks).events()`",
        packages=("sseclient-py",),
        modules=("sseclient",),
        events_of=_sseclient,
        sse=_ALL,
    ),
    PythonReader(
        "openai SSEDecoder",
        how="the `SSEDecoder` beneath its `Stream`",
        packages=("openai",),
        events_of=_openai,
        sse=_ALL,
    ),
    PythonReader(
        "anthropic raw_events",
        how="`Stream.raw_events(response)`",
        packages=("anthropic", "httpx2"),
        events_of=_anthropic,
        sse=_ALL,
    ),
    PythonReader(
        "google-genai payloads",
        how="the payloads beneath `generate_content_stream`; only the data is compared, because the SDK "
        "reports no names or ids; the SDK claims to read only Google's own servers",
        packages=("google-genai", "httpx2"),
        modules=("google.genai", "httpx2"),
        events_of=_google,
        sse=("data",),
    ),
]
