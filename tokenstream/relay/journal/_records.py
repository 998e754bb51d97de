"""The last records of answers, in which producers report how an answer ended."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import AnswerFailure, MisuseError, StreamInterrupted
from tokenstream.events import Stopped
from tokenstream.formats._wire.tokenstream.words import End
from tokenstream.message import Checkpoint
from tokenstream.relay._attribution import find_broken
from tokenstream.relay._encoders.tokenstream import end_record, error_record, read_record, record
from tokenstream.relay._incident import BUG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import Ending
    from tokenstream.stream._driver import Driver

_NO_CONTENT = frozenset({"message_start", "usage_update", "step_start", "restarted", "error"})
_TEXTS = frozenset({"text", "reasoning", "refusal"})
"""Kinds of parts whose start has no content."""


def record_ending(ending: Ending) -> bytes:
    """Return the last record of an answer whose events ended without an error.

    For "truncated" and "failed", the record reports an error.
    """
    broken = find_broken(ending)
    return end_record(ending) if broken is None else error_record(broken, ending=ending)


def record_failure(error: BaseException, *, raw: bool = False) -> bytes:
    """Return the last record of an answer that failed, with the provider's own message if `raw` is True.

    An exception other than `StreamError` is a bug in the server; the record reveals nothing about it.
    """
    if isinstance(error, AnswerFailure):
        return error_record(error, raw=raw)
    # The message is this library's own, so readers may get it.
    return error_record(AnswerFailure(BUG, kind="server", retryable=False), raw=True)


def record_interruption(message: str) -> bytes:
    """Return the last record of an answer whose producer has ended before it, with a message for readers."""
    return error_record(StreamInterrupted(message), raw=True)


def record_stop(reason: str) -> list[bytes]:
    """Return the last records of an answer that was stopped."""
    return [record(Stopped(reason)), record_ending("stopped")]


def write_kept(driver: Driver, position: int) -> bytes:
    """Return a checkpoint after the position up to which it goes; empty if no server replays the answer.

    It lacks the answer's identity, which is the id in this journal, and means nothing to the server.
    """
    resume, kept = driver.machine.link.connection.format.resume, driver.machine.progress.checkpoint()
    # What a relay merges when it repeats it cannot be compared with records.
    if resume is None or resume.merges_replays or kept.position is None or not resume.is_kept(kept.message):
        return b""
    return b"%d %b" % (position, kept.model_dump_json(exclude={"identity"}).encode())


def take_up(driver: Driver, kept: bytes, records: Sequence[bytes]) -> int:
    """Let a stream go on with what `write_kept` has returned, or else with the answer that records have.

    The result is the position up to which the stream has the answer; 0 if it cannot go on with it.
    """
    position, _, checkpoint = kept.partition(b" ")
    # Another release may have written it.
    with suppress(MisuseError, ValueError):
        if driver.take_up(Checkpoint.model_validate_json(checkpoint)):
            return int(position)
    accumulator = Accumulator()
    for event in map(read_record, records):
        if not isinstance(event, End):
            accumulator.take(event)
    messages = tuple(accumulator.messages)
    return len(records) if records and driver.take_up(Checkpoint(messages=messages)) else 0


def has_failed_early(records: Sequence[bytes]) -> bool:
    """Return True if the records are those of an answer that has failed before its first content."""
    payloads: list[JsonObject] = [json.loads(record) for record in records]
    return bool(payloads) and payloads[-1]["type"] == "error" and not any(map(_has_content, payloads))


def _has_content(payload: JsonObject) -> bool:
    """Return True if a record brings content, and not only the start of a part whose content follows."""
    if payload["type"] == "part_start":
        content: JsonObject = payload.get("content") or {}
        return content.get("kind") not in _TEXTS
    return payload["type"] not in _NO_CONTENT
