"""Nothing that was received and not read is silent: a made-up sibling is told, and changes nothing."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any, TypeAlias

import pytest

from tests.formats.told import payloads_in, values_in
from tests.steps.agents.support import FOLDER, body_of, follow
from tests.steps.told import told
from tests.support import registry
from tests.support.recordings import ours, shared
from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.errors import TokenStreamError
from tokenstream.events import Unknown

_Payloads: TypeAlias = "list[tuple[str, Any]]"
_LONGEST = 30_000
_WORDS = "words that nobody reads"
_SIBLINGS: dict[str, Any] = {"text": _WORDS, "list of deltas": [{"index": 0, "delta": {"thinking": _WORDS}}]}
_UNREAD = ("usage_unread", "field_unread", "event_unread", "delta_misfits")
_SILENT = {
    # Arguments, results, states and what the application has said have any fields, and are read as they are.
    r".*\b(input|arguments|tool_kwargs|snapshot|rawEvent|additional_information)\b.*",
    r"cohere documents.*",
    r"a2a result(\.task)?\.history.*",
    # The state of a graph is the application's, with what people have said and tools have given.
    r"langchain-protocol (model|model\.messages|messages\.\[\]|params\.data\.output.*)",
    # The tools of the request, and the session's settings, which the server only repeats.
    r".*\b(tools|session)\b.*",
    # An error is read by words.
    r".*\berror\b.*",
    # Texts beside counts, as the name of a tier; only numbers are counts.
    r".*\b(usage|usage_metadata|usageMetadata|total_usage|model_usage|[a-z_]*details|[a-zA-Z]*TokensDetails)\b.*",
    # LlamaIndex adds the provider's own chunk to what it has read of it.
    r"llamaindex raw.*",
    # Writer repeats each field of a delta in the chunk's message, whose value stays.
    r"openai-chat choices\.\[\]\.delta\.graph_data.*",
}
"""The places, after their formats, at which a sibling may be silent, each with a reason."""
_NUMBERS = ("sequence_number", "event_id")
_UNKEPT = "gemini-live langchain langchain-protocol llamaindex openai-live openai-realtime tokenstream"
"""Formats whose payloads have no place for a further field of the answer beside those that they read."""
_FREE = re.compile("|".join(_SILENT))
_CHANGED = re.compile(
    r".*\b(input|args|arguments)\b.*|bedrock-converse start|openai-(chat|completions) choices"
    r"|gemini .*\bpartialArgs"
)
"""The places of what is read whole, such as arguments and choices, which a sibling changes."""


@cache
def _places() -> list[tuple[str, str, _Payloads]]:
    """Return the places of objects and lists in recordings: the format, the place, and one's payloads."""
    found: dict[tuple[str, str], _Payloads] = {}
    for recorded in [*ours(), *shared()]:
        if recorded.format == "custom" or len(recorded.body) > _LONGEST:
            continue
        payloads = [*payloads_in(recorded.body)]
        places = {place for _, data in payloads for place, _ in values_in(data)}
        places |= {"event"} if len(payloads) > 2 else set()
        for place in places:
            found.setdefault((recorded.format, place), payloads)
    return [(format, place, payloads) for (format, place), payloads in sorted(found.items())]


def _find_wrong(change: Callable[[Any], None], *, of: type = dict, at: str = "") -> set[str]:
    """Return what is wrong once all values of a class at a place are changed, for places that match `at`."""
    wrong = set()
    for format, place, payloads in _places():
        changed = deepcopy(payloads)
        for _, data in changed if re.search(at, f"{format} {place}") else ():
            for found, value in [*values_in(data)]:
                if found == place and isinstance(value, of):
                    change(value)
        wrong.add(_check(format, place, payloads, changed))
    return wrong - {""}


def _read(payloads: _Payloads, format: Any, *, plainly: bool = False) -> tuple[Any, Counter[str], str, str]:
    """Return what was read, the details of what is told to be unread, and messages and `Unknown` as text."""
    if format == "bedrock-invoke":
        chunks = [b64encode(json.dumps(data).encode()).decode() for _, data in payloads]
        payloads = [("chunk", {"bytes": chunk}) for chunk in chunks]
    frames = [sse(data.decode() if isinstance(data, bytes) else data, event=name) for name, data in payloads]
    # In decoded payloads of AWS, the name of an event is the name of the only field.
    is_named = format in ("bedrock-converse", "bedrock-invoke")
    decoded = [{event: data} if is_named and event else data for event, data in payloads]
    source: Any = [data for data in decoded if isinstance(data, dict)] if plainly else frames
    stream, error, unknown = Stream(source, format=format), "", []
    try:
        for event in stream:
            unknown += [event.data] if isinstance(event, Unknown) else []
    except TokenStreamError as caught:
        error = type(caught).__name__
    messages = stream.messages or [stream.message]
    read = [
        (
            *(each.text, each.reasoning, each.refusal, each.finish_reason, each.ending),
            *[(call.name, call.arguments_text) for call in each.tool_calls],
            *(each.usage.input_tokens, each.usage.output_tokens),
        )
        for each in messages
    ]
    told = Counter({name: count for name, count in stream.departures.details.items() if name in _UNREAD})
    return (read, error), told, repr(messages), repr(unknown)


def _check(format: str, place: str, payloads: _Payloads, changed: _Payloads, *, is_new: bool = False) -> str:
    """Return what is wrong with the reading of changed payloads; "" if nothing is."""
    if changed == payloads:
        return ""
    before, told_before, *_ = _read(payloads, format)
    read, told, messages, unknown = _read(changed, format)
    where = re.sub(r"<[^ ]*>", "", f"{format} {place}")
    plain = _read(changed, format, plainly=True)[1]
    if told.keys() - {"delta_misfits"} != plain.keys() - {"delta_misfits"}:
        return f"{where}: told {told}, but of decoded payloads {plain}"
    if place == "" and format not in _UNKEPT and not (_WORDS in messages and _WORDS in unknown):
        return f"{where}: neither kept nor reported"
    if read != before:
        return "" if _CHANGED.fullmatch(where) else f"{where}: {before} became {read}"
    if told == told_before and _WORDS in messages + ("" if is_new else unknown):
        # The sibling is in an object that the message has, or in a known event that is reported as it is.
        return ""
    new = told - told_before
    # Each delta that does not fit is counted, since each may be another piece of content.
    if (new.total() if "delta_misfits" not in new else len(new)) != 1 and not _FREE.fullmatch(where):
        return f"{where}: told {told - told_before}"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", _SIBLINGS)
def test_a_made_up_sibling_of_any_field_is_told_once_and_changes_nothing(kind: str) -> None:
    """A field that no document has is told, or it is in the message with what it belongs to."""
    assert _find_wrong(lambda value: value.update(zz_made_up=_SIBLINGS[kind])) == set()


@pytest.mark.slow
def test_a_made_up_number_in_a_usage_is_told_once_and_changes_nothing() -> None:
    counted = "|".join(name for name in registry.names() if registry.load(name).counted is not None)
    usage = rf"^({counted}) (.*\.)?(usage|usageMetadata|total_usage)(\.\[\])?$"

    assert _find_wrong(lambda value: value.update(zz_made_up=87_654_321), at=usage) == set()


@pytest.mark.slow
def test_a_made_up_kind_of_part_is_told_once_and_changes_nothing() -> None:
    """An object of a kind that no document has, in any list of objects, is told, or it is in the message."""

    def extend(values: list[Any]) -> None:
        if values and isinstance(values[0], dict):
            kinds = {name: "zz_made_up" for name in ("type", "kind", "block_type") if name in values[0]}
            values.append({**kinds, "zz_made_up": _WORDS})

    assert _find_wrong(extend, of=list) == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["event", "delta"])
def test_a_made_up_event_or_delta_is_told_once_and_changes_nothing(kind: str) -> None:
    wrong = set()
    for format, place, payloads in _places():
        changed = payloads
        if kind == "event" == place:
            event = "zz.made_up" if payloads[0][0] else ""
            kinds = {name: "zz.made_up" for name in ("type", "event_type") if name in payloads[0][1]}
            made_up = (event, {**kinds, "zz_made_up": _WORDS})
            changed = [*payloads[:2], made_up, made_up, *payloads[2:]]
        elif kind == "delta" and re.search(r"\bdelta(<[^>]*>)?$", place):
            changed = _with_other_delta(payloads, place)
        wrong.add(_check(format, place, payloads, changed, is_new=True))

    assert set() == wrong - {""}


def _with_other_delta(payloads: _Payloads, place: str) -> _Payloads:
    """Return payloads with a delta of a made-up kind after the first delta at a place."""
    for position, (event, data) in enumerate(payloads, start=1):
        other = deepcopy(data)
        deltas = [value for found, value in values_in(other) if found == place and isinstance(value, dict)]
        for delta in deltas:
            kinds = {"type": "zz_made_up"} if "type" in delta else {}
            delta.clear()
            delta.update({**kinds, "zz_made_up": _WORDS})
        if deltas:
            other = {name: value for name, value in other.items() if name not in _NUMBERS}
            return [*payloads[:position], (event, other), *payloads[position:]]
    return payloads


_ACP_UPDATE = {"method": "session/update", "params": {"sessionId": "s", "update": {"sessionUpdate": "zz"}}}


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.jsonl")])
def test_a_made_up_line_of_an_agent_is_told_once_and_changes_nothing(name: str) -> None:
    """The lines of Kimi Code have roles, of which no document has a list."""
    lines = body_of(name).splitlines(keepends=True)
    before, _, _ = follow(b"".join(lines))
    kinds: list[dict[str, Any]] = [{"type": "zz/made_up"}, {"method": "zz/made_up"}]
    kinds += [{"type": "system", "subtype": "zz"}] if name.startswith("claude") else []
    kinds += [_ACP_UPDATE] if name.startswith("acp") else []
    for kind in kinds:
        made_up = json.dumps({"params": {}, "zz_made_up": _WORDS, **kind}).encode() + b"\n"
        changed, _, _ = follow(b"".join([*lines[:3], made_up, *lines[3:], made_up]))

        assert told(changed) == told(before)
        assert changed.departures.details == ({} if name.startswith("kimi") else {"event_unread": 1})
    assert before.departures.details == {}
