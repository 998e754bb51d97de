"""Names that people try first, and that are elsewhere: type checkers refuse them.

An ignore that is not needed is an error of its own.
"""

from __future__ import annotations

from tokenstream import AsyncStream, Message, Route, Stream, Tags, aconnect, connect


def of_streams(stream: Stream, astream: AsyncStream) -> None:
    """What a message has, and what other libraries' streams have."""
    _ = stream.usage  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    _ = stream.text_stream  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    _ = astream.choices  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def of_messages(message: Message) -> None:
    """Other APIs' words."""
    _ = message.content  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    _ = message.choices  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def of_views(stream: Stream) -> None:
    """A view is none of its items, and no str."""
    _ = stream.tool_calls[0]  # type: ignore[index] # pyright: ignore[reportIndexIssue, reportUnknownMemberType]
    _ = stream.text + "x"  # type: ignore[operator] # pyright: ignore[reportOperatorIssue, reportUnknownMemberType]


def of_requests(payload: dict[str, object]) -> None:
    """All but the address is named."""
    connect("http://localhost", payload)  # type: ignore[call-arg, arg-type] # pyright: ignore[reportCallIssue]
    aconnect("http://localhost", payload)  # type: ignore[call-arg, arg-type] # pyright: ignore[reportCallIssue]


def of_tags(url: str) -> None:
    """One object says all markup, and no option beside it."""
    Tags(tools="hermes")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    Tags(calls=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    connect(url, tags="hermes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Route(url, json={}, tags=["hermes"])  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def of_blocks(stream: Stream, astream: AsyncStream) -> None:
    """Each colour has its own."""
    with astream:  # type: ignore[attr-defined] # pyright: ignore[reportGeneralTypeIssues, reportAttributeAccessIssue]
        pass
    async with stream:  # type: ignore[attr-defined] # pyright: ignore[reportGeneralTypeIssues, reportAttributeAccessIssue]
        pass
