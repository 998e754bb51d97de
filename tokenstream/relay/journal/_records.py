"""The last records of answers, in which producers report how an answer ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import AnswerFailure, StreamInterrupted
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


def read_checkpoint(records: Sequence[bytes]) -> Checkpoint:
    """Return the answer that records have so far, for a producer that goes on with it."""
    accumulator = Accumulator()
    for event in map(read_record, records):
        if not isinstance(event, End):
            accumulator.take(event)
    return Checkpoint(messages=tuple(accumulator.messages))


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
