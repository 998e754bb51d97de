"""Answers whose parts, choices or calls are written in turns, with keys in any order and padding anywhere."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias, cast

from tests.support import registry
from tests.support.answers_in_turns.wires import Answer, Payload, aws_event, is_binary
from tests.support.recordings import frames_of
from tests.support.wire import bytes_of
from tokenstream import Decoder
from tokenstream.formats import Format
from tokenstream.framing import EventStreamMessage, ServerSentEvent
from tokenstream.limits import Limits

_MORE = (" ", "x", "é", "🌊", '"', "\\", "\n", '","', '"}]', "\u2028", "<", "漢字 ", "\ud83c")
"""Endings of a piece; the last one is half a character."""


# -- reading ---------------------------------------------------------------------------------------------


class Plain:
    """Stands for a format without shortcuts: every payload is decoded."""

    def __init__(self, format: str | Format) -> None:
        self._format = format

    def fresh(self, *, limits: Limits) -> Format:
        made = registry.create(self._format, limits=limits)
        made.shortcuts = False
        return made


def decoded(format: Any, chunks: Iterable[Any], *, shortcuts: bool) -> Any:
    """Return everything that a user can see of a body.

    Args:
        chunks: Its bytes, or decoded payloads.
        shortcuts: True to allow reading payloads by comparison, without decoding them.
    """
    decoder = Decoder(format if shortcuts else cast("Format", Plain(format)))
    told = [
        (event, event.raw)
        for number, chunk in enumerate(chunks)
        for event in decoder.feed(chunk, now=number / 8)
    ]
    told += [(event, event.raw) for event in decoder.end(now=1e4)]
    rules = dict(decoder.departures)
    return told, decoder.messages, decoder.metrics, rules, repr(decoder.error)


# -- random streams --------------------------------------------------------------------------------------


class _Layout:
    """Fixes an order of keys and a place of padding, the same for nearly all payloads of a stream."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._layouts = source.choice((1, 1, 2, 3))
        self._as_sent = source.random() < 0.4
        self._hide = source.choice((None, "p", "obfuscation"))
        self._seed = source.randrange(10**9)

    def of(self, payload: Payload) -> Payload:
        source = self._source
        layout = source.randrange(self._layouts) if source.random() < 0.2 else 0
        made = type(source)(self._seed + layout)
        if layout or not self._as_sent:
            payload = _reordered(payload, made)
        if self._hide is None:
            return payload
        place = made.choice((made.randint(0, len(payload)), len(payload)))
        padding = "".join(source.choices("xYz09", k=source.choice((0, 1, 1, 3, 8, 20))))
        items = list(payload.items())
        return dict([*items[:place], (self._hide, padding), *items[place:]])


def _reordered(value: Any, source: random.Random) -> Any:
    """Return a payload with the keys of each object in some other order."""
    if isinstance(value, list):
        return [_reordered(inner, source) for inner in value]
    if not isinstance(value, dict):
        return value
    return {key: _reordered(value[key], source) for key in source.sample(sorted(value), len(value))}


def as_payloads(answer: Answer) -> Answer:
    """Return an answer whose payloads were decoded by other code."""
    return replace(answer, wire=_as_it_is)


def _as_it_is(payload: Payload) -> Any:
    return payload


def stream(answer: Answer, source: random.Random, deltas: int = 40) -> tuple[list[bytes], list[str]]:
    """Return the chunks of a stream whose texts are written in turns, and the texts.

    Each piece of a text begins with the text's own letter, which occurs in no other text.
    """
    texts = [""] * answer.texts
    chunks = [answer.wire(payload) for payload in answer.head]
    layout, turns, now = _Layout(source), source.choice((0.1, 0.5, 0.9)), 0
    for number in range(deltas):
        if source.random() < turns:
            now = source.randrange(answer.texts)
        piece = "abc"[now] + str(number)
        if source.random() < 0.3:
            piece += source.choice(_MORE)
        texts[now] += piece.replace("\ud83c", "\ufffd")
        chunks.append(answer.wire(layout.of(answer.delta(now, piece))))
    if answer.wire not in (bytes_of, _as_it_is) and source.random() < 0.3:
        # Several payloads in one chunk are cut into frames first.
        size = source.randint(2, 9)
        chunks = [b"".join(chunks[at : at + size]) for at in range(0, len(chunks), size)]
    return chunks, texts


# -- payloads that bend a rule ---------------------------------------------------------------------------

_ODD: tuple[Any, ...] = (..., None, ["x"], "x", 7, {"x": 1}, "", 0)
"""Values put into a field in place of its own; the ellipsis leaves the field out."""


def bent(answer: Answer) -> Iterator[list[bytes]]:
    """Yield streams of similar deltas of one text, each with one field odd, missing or added."""
    first = answer.delta(0, "a")
    for path in [("logprobs",), *_paths_of(first)]:
        for odd in _ODD:
            sent = [answer.delta(0, f"a{number}") for number in range(6)]
            changed = [_with(payload, path, odd) for payload in sent]
            yield [
                *map(answer.wire, answer.head),
                *[_rewritten(answer, payload, made) for payload, made in zip(sent, changed, strict=True)],
            ]


def with_other_values(answer: Answer, source: random.Random) -> Answer:
    """Return an answer with a few other values in its deltas: in each of them the same, or another."""
    # These name the SSE event.
    paths = [path for path in _paths_of(answer.delta(0, "a")) if path[0] not in _NAMES]
    chosen = source.sample(paths, min(source.choice((0, 1, 2, 4)), len(paths)))
    values = {path: source.choice(_VALUES) for path in chosen}
    is_same = source.random() < 0.8

    def delta(index: int, piece: str) -> Payload:
        payload = answer.delta(index, piece)
        for path, value in values.items():
            try:
                payload = _with(payload, path, value if is_same else source.choice(_VALUES))
            except (AttributeError, LookupError, TypeError):
                # An earlier value has taken this place away.
                continue
        return payload

    return replace(answer, delta=delta)


_NAMES = frozenset({"type", "event_type", "event", "object"})
_VALUES: tuple[Any, ...] = (
    *("chatcmpl-1", 'we"ird', "ü", "\u2028", "x y", ""),
    *(0, 1, 7, 2.5, 10**20, None, True),
)
"""Values of ids, times, counts and other fields."""


def with_wrong_bytes(chunks: list[bytes], source: random.Random) -> list[bytes]:
    made = chunks.copy()
    for _ in range(source.choice((1, 1, 3))):
        place = source.randrange(len(made))
        changed = bytearray(made[place])
        changed[source.randrange(len(changed))] = source.choice(b'"\\{}[],: a0\n\xff\xc3')
        made[place] = bytes(changed)
    return made


def _paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _paths_of(inner, (*path, key))


def _with(payload: Any, path: tuple[Any, ...], odd: object) -> Any:
    """Return a payload with another value in a place."""
    key, *rest = path
    made = payload.copy()
    if rest:
        made[key] = _with(payload[key], tuple(rest), odd)
    elif odd is ...:
        made = {name: inner for name, inner in payload.items() if name != key} if key != 0 else []
    else:
        made[key] = odd
    return made


def _rewritten(answer: Answer, payload: Payload, made: Payload) -> bytes:
    """Return the bytes of another payload under the name of an event."""
    if is_binary(answer) or answer.wire is _as_it_is:
        return answer.wire(made)
    return answer.wire(payload).replace(bytes_of(payload), bytes_of(made))


# -- recordings ------------------------------------------------------------------------------------------

_Sent: TypeAlias = bytes | ServerSentEvent | EventStreamMessage
Move: TypeAlias = "Callable[[Payload, int], Payload | None]"
"""Returns a payload moved to the place of a number; None for a payload without a place."""


def _numbered(*names: str) -> Move:
    """Return a function that moves payloads with an index, and ids that go with it, under these names."""

    def move(payload: Payload, number: int) -> Payload | None:
        if not any(isinstance(payload.get(name), int) for name in names):
            return None
        return _renamed(payload, number, names)

    return move


def _renamed(payload: Payload, number: int, names: tuple[str, ...]) -> Payload:
    moved = dict(payload)
    for name, value in payload.items():
        if name in names and isinstance(value, int):
            moved[name] = 2 * value + number
        elif number and name in _IDS and isinstance(value, str):
            moved[name] = f"{value}~{number}"
        elif name in ("item", "content_block", "step", "start", "toolUse") and isinstance(value, dict):
            moved[name] = _renamed(value, number, ())
    return moved


_IDS = frozenset({"id", "item_id", "call_id", "messageId", "toolCallId", "toolUseId"})


def _named_by(*names: str) -> Move:
    """Return a function that moves payloads with an id under one of these names."""

    def move(payload: Payload, number: int) -> Payload | None:
        return _renamed(payload, number, ()) if any(name in payload for name in names) else None

    return move


def _listed(name: str) -> Move:
    """Return a function that moves the one choice or candidate in a payload's list of that name."""

    def move(payload: Payload, number: int) -> Payload | None:
        items = payload.get(name)
        if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
            return None
        return {**payload, name: [{**items[0], "index": number}]}

    return move


def _of_chat_call(payload: Payload, number: int) -> Payload | None:
    try:
        [choice] = payload["choices"]
        calls = choice["delta"]["tool_calls"]
        moved = [_renamed(call, number, ("index",)) for call in calls]
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    return {**payload, "choices": [{**choice, "delta": {**choice["delta"], "tool_calls": moved}}]}


_of_a_block = _numbered("index")
_of_a_choice = _listed("choices")


def _invoked(payload: Payload, number: int) -> Payload | None:
    try:
        inner = json.loads(base64.b64decode(payload["bytes"]))
    except (LookupError, TypeError, ValueError):
        return None
    moved = _of_a_block(inner, number) or _of_a_choice(inner, number)
    return None if moved is None else {**payload, "bytes": base64.b64encode(bytes_of(moved)).decode()}


MOVES: dict[str, tuple[Move, ...]] = {
    "openai-chat": (_of_a_choice, _of_chat_call),
    "openai-completions": (_of_a_choice,),
    "gemini": (_listed("candidates"),),
    "anthropic": (_of_a_block,),
    "cohere": (_of_a_block,),
    "gemini-interactions": (_of_a_block,),
    "openai-responses": (_numbered("output_index"),),
    "openai-realtime": (_numbered("output_index"),),
    "bedrock-converse": (_numbered("contentBlockIndex"),),
    "bedrock-invoke": (_invoked,),
    "ui-message": (_named_by("id", "toolCallId"),),
    "ag-ui": (_named_by("messageId", "toolCallId"),),
}
"""Function that moves a format's payloads to one of two places, by the format's name."""


def recorded(body: bytes, move: Move, source: random.Random, *, as_objects: bool = False) -> list[Any]:
    """Return a recorded body whose deltas go to two places in turns.

    Args:
        source: Source of the random order of keys and of padding.
        as_objects: True to pass decoded payloads, and everything else as bytes.
    """
    layout = _Layout(source)
    chunks: list[Any] = []
    for frame in frames_of(body):
        assert not isinstance(frame, dict)
        payload = _object_of(frame)
        moved = [] if payload is None else [move(payload, number) for number in (0, 1)]
        told: list[Payload | None] = [layout.of(made) for made in moved if made is not None] or [payload]
        if as_objects:
            chunks += [made for made in told if made is not None]
        else:
            chunks += [_framed(frame, made) for made in told]
    return chunks


def _object_of(frame: _Sent) -> Payload | None:
    try:
        value = json.loads(frame if isinstance(frame, bytes) else frame.payload)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _framed(frame: _Sent, payload: Payload | None) -> bytes:
    """Return a payload, or the original bytes if there is none, in its original framing."""
    data = (frame if isinstance(frame, bytes) else frame.payload) if payload is None else bytes_of(payload)
    if isinstance(frame, EventStreamMessage):
        return aws_event(frame.event, payload or {})
    head = (
        b"" if isinstance(frame, bytes) or frame.event == "message" else b"event: %b\n" % frame.event.encode()
    )
    return b"%bdata: %b\n\n" % (head, data)
