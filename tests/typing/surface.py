"""What type checkers see of the package itself: its rooms, its version, and names from the top."""

from __future__ import annotations

from typing import Any, assert_type, cast

import tokenstream
from tokenstream import AsyncStream, Decoder, Stream, StreamError, TextDelta, aconnect, connect, relay, tap
from tokenstream.formats import Format, FormatName, custom

assert_type(tokenstream.__version__, str)


def rooms(error: tokenstream.errors.StreamError, event: tokenstream.Event) -> None:
    """`import tokenstream` alone is enough for annotations and `isinstance` with its rooms."""
    same: StreamError = error
    assert_type(same.partial, tokenstream.message.Message)
    if isinstance(event, tokenstream.events.TextDelta):
        delta: TextDelta = event
        assert_type(delta.text, str)
    assert_type(tokenstream.testing.script().stream().final(), tokenstream.Message)
    tokenstream.partial_json.PartialJSONParser().feed("{}")
    tokenstream.relay.headers()
    tokenstream.stages.Words()
    tokenstream.framing.SSEParser()


def formats(body: list[bytes], kind: type[Format], url: str) -> None:
    """A format is a name that exists, a class or an object; a misspelt name is flagged."""
    Stream(body, format="openai-chat")
    AsyncStream(body, format=kind)
    Decoder("mistral")
    connect(url, format=custom(text="a"))
    Stream(body, format="openai-caht")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    AsyncStream(body, format="opnai")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Decoder("anthropics")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    connect(url, format="gemni")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    tap(body, format="sse")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
    relay.headers("ui-mesage")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def foreign_formats(body: list[bytes], name: str) -> None:
    """The name of a format that another distribution installs is cast."""
    Stream(body, format=cast("FormatName", name))
    Stream(body, format=cast("Any", name))


def requests(url: str, payload: dict[str, Any], options: dict[str, Any]) -> None:
    """The options of a request are httpx's; a misspelt one is flagged, and so is a wrong type."""
    connect(url, json=payload, headers={"authorization": "Bearer key"}, timeout=30, follow_redirects=True)
    aconnect(url, content=b"{}", headers=[("accept", "*/*")], params={"stream": 1}, auth=("name", "word"))
    connect(url, **options)
    connect(url, jsn=payload)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    aconnect(url, header={})  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    connect(url, headers="accept: */*")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
