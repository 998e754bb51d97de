"""Errors for a body or frames of no format that is read; they list names of fields, but no content."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tokenstream._basics.error_marks import add_code_hint, add_sentence, mark_cause
from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dict_of, is_dict, is_list, is_mock
from tokenstream.errors import MisuseError, NotAStream, ProtocolError
from tokenstream.formats import _registry as registry
from tokenstream.formats._custom import COMMON_REASONS
from tokenstream.formats._detect.payloads import (
    event_in,
    has_snowflakes_call,
    is_whole,
    object_of,
    payload_of,
)
from tokenstream.formats._kit.errors import first_object, provider_error
from tokenstream.formats._registry import GONE_SERVICES
from tokenstream.framing._sniff import BodyKind, title_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.formats._base import Frame
    from tokenstream.limits import Limits

_MOST_NAMES = 5
_READERS_OF_AGENTS = "tokenstream.steps._agents.detect"
"""The module that recognises agents. It is above the formats, and is loaded only to word an error."""
_RUN_KEYS = (frozenset({"event", "run_id", "parent_ids"}), frozenset({"current_agent_name"}))
"""Keys of events about an agent's whole run: from LangChain's `astream_events`, and LlamaIndex's agents."""
_MOST_NAME = 40
"""The longest name, in characters, that a message contains in full."""
_TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,39}")
"""Matches an event type that looks like a name, and so cannot be text of a user."""
_FIELD = re.compile(r"\w[\w-]{0,39}")
_TEXT_NAMES = (
    "delta content text chunk token answer generated_text response completion reply output message "
    "result data"
)
_TEXTS = _TEXT_NAMES.split()
"""Names of fields that usually have an answer's text, the surest first."""
_KIND_NAMES = ("type", "event", "kind", "op", "action", "object", "status", "state")
"""Names of fields that usually have the kind of a payload, the surest first."""
_ASKED = r"(user_?)?(ask|asked|inputs?|messages|prompt|query|question|request)"
"""Matches names of fields that have what was asked."""
_NO_TEXT = re.compile(
    rf"(?i)(^|[._])((id|time|timestamp|created|date|{'|'.join(_KIND_NAMES)})$|{_ASKED}(_?text)?([._]|$))"
)
_FINISH = re.compile(r"(?i)(^|[._])(finish_?reason|stop_?reason|(is_?)?(done|final|finished|last|end))$")
_END = re.compile(r"(?i)(end|done|stop|finish|complete|result|close)")
_ERROR = re.compile(r"(?i)(^|[._])err(or)?_?(msg|message|text)$")

_INVOKE_AGENT_FIELDS = frozenset({"agentId", "agentAliasId", "sessionId"})
"""The fields of which each trace of InvokeAgent has one."""
_FLOW_EVENTS = frozenset({"flowOutputEvent", "flowCompletionEvent", "flowTraceEvent"})
HARNESS = "a run of AgentCore's InvokeHarness"
SNOWFLAKE = "a tool call of Snowflake Cortex"


def describe_unknown_body(kind: BodyKind, start: str, *, text: bool = False) -> NotAStream:
    if kind == "html":
        title = title_of(start)
        with_title = f" titled {title!r}" if title else ""
        error = NotAStream(
            f"the body is a web page{with_title}, not a stream: check the address, and any proxy on the way",
            body=start,
        )
        # The title is the server's.
        return add_sentence(error, error.message.replace(with_title, ""))
    if text:
        return NotAStream(
            "the text is neither an event stream nor JSON; its start is in .body. If these are pieces of "
            'the answer itself, already decoded, pass format="pieces"',
            body=start,
        )
    return _unknown_format_error(
        "the body is neither an event stream nor JSON; its first bytes are in .body.",
        f" If it is one of these formats, name it with format=…: {', '.join(registry.names())}",
        body=start,
    )


def find_error(payload: bytes, limits: Limits) -> StreamError | None:
    """Return the provider's error in a piece of a body; None if the piece contains no error."""
    try:
        # Google's APIs put an error into an array if the stream is one.
        found = first_object(decode(payload, limits))
    except ProtocolError:
        return None
    return None if found is None else provider_error(found)


def find_lost_line_ends(tail: bytes, limits: Limits) -> NotAStream | None:
    r"""Return the error for a body without line ends or blank lines; None if the body has them."""
    data_lines = [line.removeprefix(b"data:") for line in tail.splitlines() if line.startswith(b"data:")]
    # Several data lines are one payload, unless the first line is a payload by itself.
    if len(data_lines) > 1 and data_lines[0].lstrip()[:1] == b"{":
        if not is_whole(data_lines[0], limits):
            return None
        return _lost_line_ends_error(
            "no blank line ends the events of the body",
            "the blank lines between them were removed, or were never sent",
            tail,
        )
    if tail.count(b"data:") < 2 or b"\n" in tail or b"\r" in tail:
        return None
    return _lost_line_ends_error(
        "the body is one line that says `data:` again and again", "the line ends were removed", tail
    )


def _lost_line_ends_error(symptom: str, cause: str, tail: bytes) -> NotAStream:
    error = NotAStream(f"{symptom}: {cause}", body=str(tail, "utf-8", "replace"))
    return add_code_hint(error, ". Hand over the response itself or its bytes, not its lines (iter_lines)")


def describe_unknown_format(frames: Sequence[Frame], limits: Limits) -> NotAStream:
    """Return the error for frames in no known format.

    The error's message lists the event types or, if there are none, the keys of the payloads. If the frames
    are the events of a framework's whole run, or the lines of an agent, the message says instead how to
    follow these.
    """
    runs = (describe_run(frame, limits) for frame in frames)
    error = next((run for run in runs if run is not None), None)
    if error is not None:
        return error
    if any(_agents().may_be_of_agent(object_of(frame, limits)) for frame in frames):
        return _agent_error("an agent", frames[0], limits)
    return _unknown_format_error(
        f"the events are of no known format; {_list_names(frames, limits)}.",
        _advise_mapping(frames, limits),
        body=_start_of(frames[0], limits.tail) if frames else "",
    )


def _advise_mapping(frames: Sequence[Frame], limits: Limits) -> str:
    """Return the mapping that would read what was seen, in names alone: no value may be of a user."""
    seen = [(event_in(frame), dict(_walk(object_of(frame, limits)))) for frame in frames]
    seen = [(event, fields) for event, fields in seen if fields]
    paths = [path for _, fields in seen for path in fields]
    texts = _find_texts([fields for _, fields in seen])
    if not texts:
        return (
            f" If it is one of {', '.join(registry.names())}, name it with format=…; read a simple format of "
            "a server of your own with tokenstream.formats.custom(text=…), and any other with its SDK"
        )
    text = min(texts, key=lambda path: (-texts[path], [*_TEXTS, name := path.rpartition(".")[2]].index(name)))
    shown = [str(fields[text]) for _, fields in seen if text in fields]
    if len({*shown}) > 2 and all(later.startswith(sooner) for sooner, later in pairwise(shown)):
        return (
            f" Each payload repeats the text so far in {text!r}, which no mapping reads: yield what each "
            'adds, and pass that with format="pieces"'
        )
    options: dict[str, object] = {"text": text}
    # The kind of a payload is a field of it, or the name of its event.
    kind_of = next((key for key in _KIND_NAMES if all(key in fields for _, fields in seen)), "")
    kinds = [str(fields[kind_of]) if kind_of else event for event, fields in seen]
    found = Counter(kind for kind, (_, fields) in zip(kinds, seen, strict=True) if text in fields)
    kind, others = found.most_common(1)[0][0], dict.fromkeys(filter(_TYPE_NAME.fullmatch, kinds))
    if others.pop(kind, "") is None and others:
        options |= {"where": {kind_of: kind}} if kind_of else {"event": kind}
    finish = next((path for path in paths if _FINISH.search(path)), None)
    last = kinds[-1] if kind_of else event_in(frames[-1])
    end = last if last != kind and _END.search(last) and _TYPE_NAME.fullmatch(last) else ""
    if finish is not None:
        options["finish"] = finish
        sent = "".join(str(fields.get(text, "")) for _, fields in seen if not fields.get(finish))
        final = next((str(fields.get(text)) for _, fields in seen if fields.get(finish)), "")
        if sent and final.startswith(sent) and "event" not in options:
            # The last payload repeats the whole text.
            options["where"] = {finish: False}
    elif end and "where" in options:
        options |= {"finish": kind_of} | ({} if end in COMMON_REASONS else {"finish_reasons": {end: "stop"}})
    if end and not kind_of:
        options["end"] = end
    options |= {"error": path for path in paths if _ERROR.search(path)}  # noqa: B035 - of the last path
    written = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return (
        " If you know the format, name it with format=…; the names seen would fit "
        f"tokenstream.formats.custom({written}): check it, and pass it as format="
    )


def _walk(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the path and the value of each field of a payload, at most four steps deep."""
    items = value.items() if is_dict(value) else enumerate(value[:1]) if is_list(value) else ()
    for key, each in items:
        if path.count(".") < 3 and _FIELD.fullmatch(str(key)):
            yield from _walk(each, f"{path}.{key}" if path else str(key))
    if path and not items:
        yield path, value


def _find_texts(payloads: Sequence[Mapping[str, object]]) -> Counter[str]:
    """Return how often each path comes that may lead to the answer's text: one that grows, if any does."""
    told = [(path, value) for fields in payloads for path, value in fields.items() if isinstance(value, str)]
    told = [(path, value) for path, value in told if value and not _NO_TEXT.search(path)]
    seen = {path: {value for other, value in told if other == path} for path, _ in told}
    named = {path for path in seen if path.rpartition(".")[2] in _TEXTS}
    growing = {path for path, values in seen.items() if len(values) > 1}
    wordy = {path for path in growing if any(" " in value for value in seen[path])}
    best = named & growing or wordy or growing or named
    return Counter(path for path, _ in told if path in best)


def describe_run(frame: Frame, limits: Limits) -> NotAStream | None:
    """Return the error for a frame that can only be of a framework's run or of an agent; else None."""
    payload = object_of(frame, limits)
    if not payload:
        return None
    if any(payload.keys() >= run_keys for run_keys in _RUN_KEYS):
        return NotAStream(
            "these are the events of a whole run of a framework, which may hold several answers: follow them "
            "with Steps, run.follow(events), or hand over the stream of the model itself"
        )
    name: str | None = _agents().find_name(payload)
    return None if name is None else _agent_error(name, frame, limits)


def _agents() -> Any:  # noqa: ANN401 - a module
    return import_module(_READERS_OF_AGENTS)


def _agent_error(name: str, frame: Frame, limits: Limits) -> NotAStream:
    error = NotAStream(f"these are the lines of {name}", body=_start_of(frame, limits.tail))
    hint = ", which may hold several answers: follow them with Steps, run.follow(lines)"
    return mark_cause(add_code_hint(error, hint), "agent")


def _unknown_format_error(message: str, hint: str, *, body: str) -> NotAStream:
    """Return the error for a body or events of no known format; the `hint` applies only to code."""
    return mark_cause(add_code_hint(NotAStream(message, body=body), hint), "unknown_format")


def describe_bad_piece(item: object) -> MisuseError:
    """Return the error for an item of a source that is not bytes, text or a payload."""
    if is_mock(item):
        return MisuseError(
            f"{type(item).__qualname__} is a mock: let the test give an answer, create.return_value = "
            'testing.script().text("Hi").finish().chunks("openai-chat")'
        )
    # LangGraph streams messages as tuples.
    advice = "; the events of a framework's run are followed with Steps, run.follow(events)"
    return MisuseError(
        f"{type(item).__qualname__} is not a piece of a body; bytes are expected, text, or payloads: "
        f"dicts or objects of an SDK{advice if isinstance(item, tuple) else ''}"
    )


def _list_names(frames: Iterable[Frame], limits: Limits) -> str:
    """Return a clause that lists the event types in frames or, if there are none, their payloads' keys."""
    kinds: dict[str, None] = {}
    keys: dict[str, None] = {}
    for frame in frames:
        payload = object_of(frame, limits)
        kind = event_in(frame)
        type_field = payload.get("type")
        if not kind and isinstance(type_field, str) and _TYPE_NAME.fullmatch(type_field):
            kind = type_field
        if kind:
            kinds[kind] = None
        keys |= dict.fromkeys(payload)
        if len(kinds) > _MOST_NAMES:
            break
    if kinds:
        return f"the event types seen are {_join_names(kinds)}"
    return f"the keys seen are {_join_names(keys)}" if keys else "no name was seen"


def _start_of(frame: Frame, max_size: int) -> str:
    payload = payload_of(frame)
    return (
        str(payload[:max_size], "utf-8", "replace") if isinstance(payload, bytes) else str(payload)[:max_size]
    )


def _join_names(names: Iterable[str]) -> str:
    """Return the first names, quoted and shortened, as a list in a sentence."""
    shown = [ascii(name if len(name) <= _MOST_NAME else f"{name[:_MOST_NAME]}...") for name in names]
    return ", ".join(shown[:_MOST_NAMES]) + (", ..." if len(shown) > _MOST_NAMES else "")


def refusal(name: str) -> NotAStream:
    return mark_cause(NotAStream(f"the stream is {name}, which is not read"), "unknown_format")


def find_refused(payload: JsonObject, event: str) -> NotAStream | None:
    """Return the error that names what a payload is of; None if it is of nothing that is known."""
    name = next((name for name, is_of in _KNOWN.items() if is_of(payload, event)), None)
    if name is not None:
        return refusal(name)
    gone = next((gone for gone in GONE_SERVICES.values() if gone.sends(payload, event)), None)
    if gone is None:
        return None
    error = add_code_hint(NotAStream(f"the stream is {gone.title}: it is not read"), f"; {gone.advice}")
    return mark_cause(error, "unknown_format")


def _is_invoke_agent(payload: JsonObject, event: str) -> bool:
    if event == "chunk" or is_dict(payload.get("chunk")):
        return "bytes" in payload or "bytes" in dict_of(payload, "chunk")
    trace = payload if event == "trace" else dict_of(payload, "trace")
    return not trace.keys().isdisjoint(_INVOKE_AGENT_FIELDS) or "invocationInputs" in dict_of(
        payload, "returnControl"
    )


_KNOWN: dict[str, Callable[[JsonObject, str], bool]] = {
    "a run of Bedrock's InvokeAgent": _is_invoke_agent,
    "a run of Bedrock's InvokeFlow": lambda payload, event: not {event, *payload}.isdisjoint(_FLOW_EVENTS),
    HARNESS: lambda payload, event: event == "hookEvent" or is_dict(payload.get("hookEvent")),
    SNOWFLAKE: lambda payload, _event: has_snowflakes_call(payload),
}
"""Maps what is known, in words, to a function that recognises a payload of it."""
