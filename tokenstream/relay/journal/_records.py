"""Records of a producer's end, and the checkpoint that it leaves to the next producer."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import AnswerFailure, MisuseError, StreamError, StreamInterrupted
from tokenstream.events import Restarted, Stopped
from tokenstream.message import Checkpoint, Message
from tokenstream.relay._attribution import find_broken
from tokenstream.relay._encoders.tokenstream import end_record, error_record, read_record, record
from tokenstream.relay._incident import BUG
from tokenstream.relay.journal._errors import JournalError
from tokenstream.stream._base import find_driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.message import Ending
    from tokenstream.stream._driver import Driver

_NO_CONTENT = frozenset({"message_start", "usage_update", "step_start", "restarted", "error"})
_TEXTS = frozenset({"text", "reasoning", "refusal"})
"""Kinds of parts whose start has no content."""
_MAX_KEPT = 1024 * 1024
"""The maximum size of a checkpoint in bytes; of a larger one, another process asks for the answer again."""


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
    return error_record(StreamError(BUG, kind="server", retryable=False), raw=True)


def record_interruption(message: str) -> bytes:
    """Return the last record of an answer whose producer has ended before it, with a message for readers."""
    return error_record(StreamInterrupted(message), raw=True)


def record_stop(reason: str) -> list[bytes]:
    """Return the last records of an answer that was stopped."""
    return [record(Stopped(reason)), record_ending("stopped")]


def write_kept(driver: Driver, position: int) -> bytes:
    """Return a checkpoint after the position up to which it goes; empty if no server replays the answer.

    It lacks the answer's identity, which is the id in this journal, and means nothing to the server.

    Raises:
        JournalError: It is too large.
    """
    resume, kept = driver.machine.link.connection.format.resume, driver.machine.progress.checkpoint()
    # Events that a relay merges when it repeats them cannot be compared with records.
    if resume is None or resume.merges_replays or kept.position is None or not resume.is_kept(kept.message):
        return b""
    written = kept.model_dump_json(exclude={"identity"}).encode()
    if len(written) > _MAX_KEPT:
        raise JournalError(f"its {len(written):,} bytes are too many")
    return b"%d %b" % (position, written)


def source_of(stream: object) -> Driver:
    """Return the driver that reads the source of a stream, which may have several readers."""
    return cast("Driver", find_driver(stream)).source_driver


def take_up(driver: Driver, kept: bytes, records: Sequence[bytes]) -> list[bytes] | None:
    """Let a stream go on with what `write_kept` has returned, or else with the answer that records have.

    The result are the records of the events that the stream gives again; None if it cannot go on for those
    who have the records.
    """
    position, _, written = kept.partition(b" ")
    after = 0
    # Another release may have written it, or a stream of another API.
    with suppress(MisuseError, ValueError):
        after = int(position) * driver.take_up(Checkpoint.model_validate_json(written))
    if not after and records:
        accumulator = Accumulator()
        for each in records:
            accumulator.take(cast("Event", read_record(each)))
        after = len(records) * driver.take_up(Checkpoint(messages=tuple(accumulator.messages)))
    # Earlier connections, of which readers were told, are none of this stream's.
    left = [each for each in records[after:] if not each.startswith(b'{"type":"resumed"')]
    return left if 0 < after <= len(records) else None


def begin_again() -> Restarted:
    """Return the event after which readers get all of an answer again."""
    return Restarted(Message.model_construct())


def without_raw(record: bytes) -> JsonObject:
    """Return a record's JSON without the payload, which a server may pad anew when it repeats it."""
    return {name: each for name, each in json.loads(record).items() if name != "raw"}


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
