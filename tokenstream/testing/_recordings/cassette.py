"""VCR cassettes, as vcrpy and pytest-recording write them, read as recordings."""

from __future__ import annotations

import binascii
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tokenstream._basics.elsewhere import needing
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._connection.head import ResponseHead
from tokenstream.framing._content_coding import ContentDecoder
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.testing._recordings.file_format import RecordingInvalid
from tokenstream.testing._recordings.frames import framing_of
from tokenstream.testing._recordings.recording import Arrival, Recording
from tokenstream.testing._recordings.secrets import without_secret_headers

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject

_MAX_DEPTH = 100
"""Deepest nesting of lists and mappings; PyYAML's C loader overflows the stack at some ten thousand."""
_MAX_RATIO = 100
"""Largest ratio of a document's size, with its aliases expanded, to the size of its file."""


def read_yaml(data: bytes, path: Path) -> object:
    """Return a YAML document as plain values."""
    with needing("PyYAML", f"reading the cassette {path.name}"):
        yaml = import_module("yaml")
    # The C loader is ten times as fast, but not every PyYAML has it; both construct plain values only.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Aliases of aliases may let a few lines expand to gigabytes, so the size is counted before the values
        # are made.
        counter = _SizeCounter(_MAX_RATIO * len(data))
        for event in yaml.parse(data, Loader=loader):
            counter.add_event(event)
        document: object = yaml.load(data, Loader=loader)
    except (_TooLarge, yaml.YAMLError, ValueError) as error:
        # PyYAML raises ValueError for scalars such as a thirteenth month.
        raise RecordingInvalid(
            f"it cannot be read as YAML ({_describe_problem(error)})", path=path, line=_find_line(error, data)
        ) from None
    return document


def _describe_problem(error: object) -> str:
    """Return a description of the problem that quotes nothing of the document."""
    return getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__


def _find_line(error: object, data: bytes) -> int | None:
    """Return the number of the line in which a problem was found; None if it is not known."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    # Bytes that are not YAML text at all are reported with a position only.
    position = getattr(error, "position", None)
    return None if position is None else data.count(b"\n", 0, position) + 1


class _YAMLEvent(Protocol):
    """An event of PyYAML; each class has only some of these attributes."""

    anchor: Any
    start_mark: object
    value: str


class _TooLarge(Exception):
    """A document is nested too deeply, or its aliases would expand to far more than its file."""

    def __init__(self, problem: str, mark: object) -> None:
        super().__init__(problem)
        self.problem = problem
        self.problem_mark = mark


class _SizeCounter:
    """Adds up the sizes of a document's events; an alias counts as much as the value it refers to."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sum = 0
        self._anchor_sizes: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = []
        """For each open list or mapping: its anchor, and the sum before it began."""

    def add_event(self, event: _YAMLEvent) -> None:
        """Add the size of an event to the sum of all sizes, which is limited."""
        count = self._counters.get(type(event).__name__)
        if count is not None:
            count(self, event)
        if len(self._open) > _MAX_DEPTH:
            raise _TooLarge(f"more than {_MAX_DEPTH} values are nested in one another", event.start_mark)
        if self._sum > self._limit:
            raise _TooLarge(
                "its aliases expand to far more than the file holds, or contain themselves", event.start_mark
            )

    def _count_scalar(self, event: _YAMLEvent) -> None:
        """Add the size of a scalar, its characters and 1 for the event, to the sum that is limited."""
        self._add_size(event.anchor, 1 + len(event.value))

    def _count_alias(self, event: _YAMLEvent) -> None:
        """Add the size of the value that an alias refers to, since the loaded document repeats the value."""
        # A value that contains itself never ends, so it exceeds the limit. An alias without an anchor is left
        # to the loader to report.
        contains_itself = any(anchor == event.anchor for anchor, _ in self._open)
        self._sum += self._limit if contains_itself else self._anchor_sizes.get(event.anchor, 1)

    def _begin_collection(self, event: _YAMLEvent) -> None:
        """Remember that a list or mapping begins, and the sum of the sizes before it."""
        self._open.append((event.anchor, self._sum))

    def _end_collection(self, event: object) -> None:
        """Compute the size of a list or mapping that ends, so that each alias of it can add this size."""
        anchor, sum_before = self._open.pop()
        # The collection's own size is 1; the sizes of its items have been added to the sum since it began.
        # They are taken out again here, because `_add_size` adds the size of the whole.
        size, self._sum = self._sum + 1 - sum_before, sum_before
        self._add_size(anchor, size)

    def _add_size(self, anchor: str | None, size: int) -> None:
        """Add the size of a whole value, and remember it for aliases of the value's anchor."""
        self._sum += size
        if anchor is not None:
            self._anchor_sizes[anchor] = size

    _counters: ClassVar[dict[str, Callable[[_SizeCounter, Any], None]]] = {
        "ScalarEvent": _count_scalar,
        "AliasEvent": _count_alias,
        "MappingStartEvent": _begin_collection,
        "SequenceStartEvent": _begin_collection,
        "MappingEndEvent": _end_collection,
        "SequenceEndEvent": _end_collection,
    }
    """Maps the names of PyYAML's event classes to the methods that count these events."""


_TRANSFER_HEADERS = frozenset({"connection", "content-encoding", "content-length", "transfer-encoding"})
"""Headers about the transfer of the body, which do not apply to the decoded body of a recording."""
_STREAM_FRAMINGS = frozenset({"sse", "ndjson", "aws-eventstream"})


def load_cassette(path: str | os.PathLike[str]) -> list[Recording]:
    """Return all answers of a VCR cassette, each as a recording of one chunk at time 0.

    Args:
        path: The cassette, in YAML or in JSON.

    Raises:
        RecordingInvalid: The file is not a cassette, or it is damaged.
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    answers = _read_answers(path.read_bytes(), path)
    if answers is None:
        raise _not_a_cassette(path)
    return answers


def pick_streamed(data: bytes, path: Path) -> Recording | None:
    """Return the only answer of a cassette, or its only streamed one; None for JSON that is no cassette."""
    answers = _read_answers(data, path)
    if answers is None:
        if path.suffix.lower() == ".json":
            return None
        raise _not_a_cassette(path)
    streamed = [answer for answer in answers if answer.body and framing_of(answer) in _STREAM_FRAMINGS]
    candidates = answers if len(answers) == 1 else streamed
    if len(candidates) == 1:
        return candidates[0].replaced(name=path.stem)
    listing = "".join(f"\n  [{number}] {_list_answer(answer)}" for number, answer in enumerate(answers))
    raise RecordingInvalid(
        f"it holds {len(answers)} answers, of which {len(streamed)} were streamed: take the one "
        f"that is meant out of testing.load_cassette(path){listing}",
        path=path,
    )


def _list_answer(answer: Recording) -> str:
    """Return a line that describes an answer: its request, status, content type and size."""
    content_type = answer.content_type or "no content type"
    return f"{answer.request or 'no request'}: {answer.status}, {content_type}, {len(answer.body):,} bytes"


def _not_a_cassette(path: Path) -> RecordingInvalid:
    return RecordingInvalid(
        "it is not a cassette of VCR: it has no list of `interactions`; a bare body ends in .sse or "
        ".ndjson, a recording of tokenstream in .rec",
        path=path,
    )


def _read_answers(data: bytes, path: Path) -> list[Recording] | None:
    """Return all answers of a cassette; None if the document has no list of interactions."""
    document = _parse_json(data, path) if path.suffix.lower() == ".json" else read_yaml(data, path)
    interactions: object = document.get("interactions") if is_dict(document) else None
    if not is_list(interactions):
        return None
    return [_build_recording(interaction, path, number) for number, interaction in enumerate(interactions, 1)]


def _parse_json(data: bytes, path: Path) -> object:
    """Return a JSON document; raise `RecordingInvalid` if it cannot be read."""
    try:
        document: object = json.loads(data)
    except json.JSONDecodeError as error:
        raise RecordingInvalid(f"it is not JSON ({error.msg})", path=path, line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        # Invalid UTF-8, an integer of thousands of digits, or nesting too deep for the parser.
        raise RecordingInvalid(f"it cannot be read as JSON ({type(error).__name__})", path=path) from None
    return document


def _build_recording(interaction: object, path: Path, number: int) -> Recording:
    name = f"{path.stem}-{number}"
    response: object = interaction.get("response") if is_dict(interaction) else None
    if not is_dict(interaction) or not is_dict(response):
        raise RecordingInvalid(f"interaction {number} has no response", path=path)
    headers = _read_cassette_headers(response.get("headers"))
    body = _read_cassette_body(response, path, number)
    content_coding = headers.get("content-encoding", "")
    if content_coding:
        body = _undo_coding(body, content_coding, path, number)
    return Recording(
        (Arrival(0.0, body),) if body else (),
        name=name,
        status=_read_status(response, path, number),
        headers={
            name: value
            for name, value in without_secret_headers(headers).items()
            if name not in _TRANSFER_HEADERS
        },
        request=_write_request(interaction.get("request")),
    )


def _read_cassette_headers(value: object) -> dict[str, str]:
    """Return headers by lower-case name; in a cassette, each header has a list of values."""
    if not is_dict(value):
        return {}
    headers: dict[str, str] = {}
    for name, stored in value.items():
        values = stored if is_list(stored) else [stored]
        headers[str(name).lower()] = ", ".join(map(str, values))
    return headers


def _read_status(response: JsonObject, path: Path, number: int) -> int:
    """Return the HTTP status of the response of an interaction; `number` is that of the interaction."""
    value: object = response.get("status")
    # Older versions of VCR store the status of an httpx response as `status_code`.
    code: object = value.get("code") if is_dict(value) else response.get("status_code", value)
    if isinstance(code, bool) or not isinstance(code, int):
        raise RecordingInvalid(f"the response of interaction {number} has no status", path=path)
    return code


def _read_cassette_body(response: JsonObject, path: Path, number: int) -> bytes:
    """Return the body of a response, which versions of VCR store in several ways."""
    value: object = response.get("body", response.get("content"))
    if is_dict(value):
        # The body is under one of two keys: in base64, or as it is.
        encoded: object = value.get("base64_string")
        if isinstance(encoded, str | bytes):
            return _decode_base64(encoded, path, number)
        value = value.get("string")
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if value is None or isinstance(value, bytes):
        return value or b""
    raise RecordingInvalid(f"the body of interaction {number} is neither text nor bytes", path=path)


def _decode_base64(text: str | bytes, path: Path, number: int) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except ValueError:
        raise RecordingInvalid(f"the body of interaction {number} is not base64", path=path) from None


def _undo_coding(body: bytes, content_coding: str, path: Path, number: int) -> bytes:
    """Return a body with its content coding undone; unchanged if VCR has stored it decoded."""
    decoder = ContentDecoder(content_coding, limits=DEFAULT_LIMITS)
    pieces = decoder.feed(body)
    decoder.end()
    if decoder.error is None:
        return b"".join(pieces)
    try:
        body.decode()
    except UnicodeDecodeError:
        reason = f"the body of interaction {number} cannot be read: {decoder.error}"
        raise RecordingInvalid(reason, path=path) from None
    # If httpx has decoded a body, VCR stores it decoded, but with its original header. The body is valid
    # UTF-8, and a compressed one would not be.
    return body


def _write_request(value: object) -> str:
    """Return the method and the address of a stored request, without secrets; "" if there is none."""
    if not is_dict(value):
        return ""
    address = ResponseHead(status=0, url=str(value.get("uri", ""))).place
    return f"{value.get('method', '')} {address}".strip()
