"""What reading events of ConverseStream gives."""

from __future__ import annotations

from typing import Any

from tests.formats.bedrock.payloads import START, Named, finish, frame
from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.told import Told
from tests.support.formats import BedrockConverse
from tests.support.wire import sses
from tokenstream import Limits
from tokenstream.message import Part


def read(*events: Named, limits: Limits | None = None, end: bool = True) -> Told:
    return read_frames(BedrockConverse(limits=limits), [frame(*event) for event in events], end=end)


def answer(*events: Named, limits: Limits | None = None, end: bool = True) -> Told:
    return read(START, *events, finish(), limits=limits, end=end)


def parts(*events: Named) -> tuple[Part, ...]:
    """Return the parts of an answer that has these events and nothing odd."""
    came = answer(*events)

    assert came.error is None
    assert {} == came.departures
    return came.parts


def events_of(*payloads: dict[str, Any]) -> bytes:
    """Return what a gateway makes of the objects of boto3."""
    return b"".join(sses(*payloads))
