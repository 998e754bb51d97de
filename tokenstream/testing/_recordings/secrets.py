"""Content that no file may have, since recordings are shared: secrets, and headers that carry them."""

from __future__ import annotations

import re
from base64 import b64decode
from bisect import bisect_right
from collections import defaultdict
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._basics.visible import KEYS
from tokenstream._connection.head import REQUEST_IDS
from tokenstream.errors import MisuseError, StreamError
from tokenstream.testing._recordings.file_format import RecordingInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokenstream.testing._recordings.recording import Recording

_SECRET_HEADERS = re.compile(
    r"authorization|cookie|api-?key|subscription-key|security-token|auth-token|access-token|session-token"
    r"|csrf-token|xsrf-token|secret|password|credential|signature"
)
_KEPT_HEADERS = frozenset(
    {
        *REQUEST_IDS,
        "content-type",
        "date",
        "openai-processing-ms",
        "retry-after",
        "retry-after-ms",
        "x-ms-retry-after-ms",
        "x-amzn-errortype",
        "x-should-retry",
        "x-vercel-ai-ui-message-stream",
    }
)
_KEPT_FAMILIES = re.compile(r"(?:x-|anthropic-)?ratelimit(?:-|$)")


class Secret(NamedTuple):
    """Bytes that look like a secret."""

    kind: str
    """The kind of secret, with its provider, such as "a token of GitHub"."""
    at: int
    """Offset of the first byte."""


_QUOTED = r"[\"'\\]{0,4}\s{0,8}[:=]\s{0,8}[\"'\\]{0,4}"
"""Matches the text between a name and its value, in JSON, in a form or in a shell command."""
_PATTERNS_WITHOUT_BEGINNING: dict[str, str] = {
    "a secret key of AWS": rf"(?i:secret_?access_?key|session_?token){_QUOTED}[A-Za-z0-9/+=]{{40}}",
    "a password in a header": rf"(?i:authorization){_QUOTED}(?i:basic)\s{{1,4}}[\w+/=-]{{8,}}",
    "a key under its name": (
        rf"(?i:api[-_]?key|client[-_]secret|access[-_]token|security[-_]token){_QUOTED}"
        r"(?=[A-Za-z._~+/=%-]{0,99}[0-9])[\w.~+/=%-]{16,}"
    ),
    "a password under its name": (
        rf"(?i:password|passwd){_QUOTED}(?=[A-Za-z_.~+!@#$%^*-]{{0,99}}[0-9])[\w.~+!@#$%^*-]{{8,}}"
    ),
    "a cookie": (
        rf"(?i:cookie){_QUOTED}[^\r\n\"'\\=]{{1,100}}=(?=[A-Za-z._~+/%-]{{0,99}}[0-9])[\w.~+/%-]{{16,}}"
    ),
    "a private key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----",
    "a password in an address": r"://(?<=\w://)[^\s/@:\"'\\]{1,200}:[^\s/@:\"'\\]{1,200}@",
    "a key in an address": (
        r"[?&](?i:api[-_]?key|key|access[-_]?token|token|sig|signature|x-amz-signature|x-amz-security-token)"
        r"=(?=[^\s&\"'\\]{0,199}[0-9])[^\s&\"'\\]{16,}"
    ),
}


_GLUED = {
    "a key of OpenAI, or of an API like theirs": (
        r"(?=[\w-]{0,24}?[A-Za-z0-9]{16})"
        r"(?:(?<![A-Za-z][aeiouAEIOU]sk-)|(?=[\w-]{0,99}[0-9][a-z])(?=[\w-]{0,99}[a-z0-9][A-Z]))"
    )
}
"""Maps a kind to what its keys must also have after a letter: "task-", "disk-" and "risk-" begin no key."""


def _key_pattern(kind: str, beginning: str, rest: str) -> str:
    """Return the pattern of a key that begins a word, or comes after a short one and has a digit.

    Long words are base64, in which each beginning comes up by chance. The pattern begins with the fixed
    text, and then looks back: a search for a fixed text is a hundred times faster than one that looks
    back first.
    """
    glued = rf"(?<![\w+/-]{{48}}{beginning})(?=[A-Za-z\s_.~+/=-]{{0,99}}[0-9]){_GLUED.get(kind, '')}"
    return rf"{beginning}(?:(?<!\w{beginning})|{glued}){rest}"


_ALL_PATTERNS = {
    kind: _key_pattern(kind, *parts) for kind, parts in KEYS.items()
} | _PATTERNS_WITHOUT_BEGINNING
_PATTERNS = [(kind, re.compile(pattern.encode(), re.ASCII)) for kind, pattern in _ALL_PATTERNS.items()]

_ASCII_ESCAPE = re.compile(rb"(?<!\\)\\++u00([2-7][0-9A-Fa-f])")
"""Matches a needless escape of an ASCII character in JSON, or in JSON inside a JSON string."""

_STRING = rb'(?<!\\)"((?:[^"\\\n]|\\.)*+)"'
_TOKEN = re.compile(
    rb"[{}]|\n(?=data:|\{)|" + _STRING + rb'(?:(?>\s*+:\s*+(?:"((?:[^"\\\n]|\\.)*+)"?|(-?[0-9]++))))?+'
)
"""Matches a brace, the beginning of an event, or a string with the text or number that it names.

The text may be cut off.
"""
_TEXT_LINE = re.compile(rb"^data:[ ]?([^\r\n{\[][^\r\n]*+)", re.MULTILINE)
"""Matches a `data` line of an SSE event whose data are not JSON."""
_DEEPEST = 64
"""Most objects around a string that are looked at."""
_BORDER = b"\n\0\n"
"""Separates joined texts, and in no secret."""
_Object = dict[bytes, bytes]
"""The ids and indexes that a JSON object has."""


def find_secret(data: bytes) -> Secret | None:
    """Return the first secret that bytes seem to contain; None if there is none."""
    matches = [Secret(kind, match.start()) for kind, pattern in _PATTERNS if (match := pattern.search(data))]
    return min(matches, key=lambda secret: secret.at, default=None)


def refuse_secrets(recording: Recording) -> None:
    """Raise if a recording contains something that looks like a secret."""
    found = search_recording(recording)
    if found is None:
        return
    secret, place = found
    raise RecordingInvalid(
        f"something that looks like {secret.kind} is {place}; no file was written: recordings are shared. "
        'Remove it with replace={r"its pattern": "harmless"} or filter= of `testing.record`; '
        "if it is real, it was sent in an answer: change it",
        kind="secret",
    )


def search_recording(recording: Recording) -> tuple[Secret, str] | None:
    """Return the first secret that a recording seems to contain, and its place; None if there is none.

    An answer may spread a key over many events, so the search goes through, in this order:

    1. the head: request line, headers and format;
    2. the bytes of the body, and the same bytes without JSON escapes;
    3. the strings of all JSON members that belong together, joined across events;
    4. the messages that the body decodes to.
    """
    head_fields = {"the request line": recording.request}
    head_fields |= {f"the header {name}": value for name, value in recording.headers.items()}
    if recording.close_frame is not None:
        head_fields["the reason of the closing frame"] = recording.close_frame[1]
    head_fields |= {
        "the names of its headers": " ".join(recording.headers),
        "its format": recording.format or "",
    }
    for place, value in head_fields.items():
        secret = find_secret(value.encode("utf-8", "surrogateescape"))
        if secret is not None:
            return secret, f"at byte {secret.at} of {place}"
    secret = find_secret(recording.body)
    if secret is not None:
        ends = list(accumulate(len(data) for _, data in recording.arrivals))
        # Chunks are numbered from 1.
        chunk = bisect_right(ends, secret.at) + 1
        return secret, f"at byte {secret.at} of the body (in chunk {chunk})"
    secret = _find_escaped(recording.body)
    if secret is not None:
        return secret, "in the body, with escapes of JSON"
    for text in (_join_strings(recording.body), *_decode_messages(recording)):
        secret = find_secret(text) or _find_escaped(text)
        if secret is not None:
            return secret, "in what the body says, spread over several events"
    return None


def _find_escaped(data: bytes) -> Secret | None:
    """Return the first secret that bytes contain once JSON escapes are undone; None if there is none."""
    if b"u00" not in data:
        return None
    return find_secret(_ASCII_ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), data))


def _join_strings(body: bytes) -> bytes:
    """Return the strings of a body that belong together, each group joined to a text, in lines of their own.

    A group has the strings of all members of one name, or of those that also have one id, or the same
    indexes: choices, calls and items may arrive in turns. The bytes after an error, a limit or the
    terminal event are joined, too. SSE data that are not JSON are a group.
    """
    groups: defaultdict[object, list[bytes]] = defaultdict(list)
    # The id of an object may come after its strings.
    for name, text, objects in list(_strings(body)):
        marks = [mark for each in objects for mark in each.items()]
        ids = [mark for mark in marks if not mark[0].endswith(b"ndex")]
        indexes = tuple(mark for mark in marks if mark[0].endswith(b"ndex"))
        for group in (None, indexes, *ids):
            groups[name, group].append(text)
    # Bedrock wraps the payloads of other APIs in base64 under "bytes".
    wrapped = b"\n".join(map(_decode_base64, groups.get((b"bytes", None), ())))
    groups[None] = _TEXT_LINE.findall(body)
    # A single string was searched with the body.
    joined = dict.fromkeys(b"".join(texts) for texts in groups.values() if len(texts) > 1)
    return _BORDER.join([*joined, *([_join_strings(wrapped)] if wrapped else [])])


def _strings(body: bytes) -> Iterator[tuple[bytes, bytes, list[_Object]]]:
    """Yield the name and the text of each member that is a string, and the objects that it is in."""
    objects: list[_Object] = [{}]
    for match in _TOKEN.finditer(body):
        name, text, number = match.groups()
        if match[0] == b"{":
            objects = [*objects[-_DEEPEST:], {}]
        elif match[0] == b"}":
            objects = objects[:-1] or [{}]
        elif name is None:
            objects = [{}]
        elif text is not None or number is not None:
            if name.endswith((b"index", b"Index", b"id", b"Id", b"ID")):
                objects[-1][name] = number or text or b""
            if text is not None:
                yield name, text, objects


def _decode_base64(coded: bytes) -> bytes:
    """Return decoded base64; b"" if the text is invalid."""
    try:
        return b64decode(coded)
    except ValueError:
        return b""


def _decode_messages(recording: Recording) -> Iterator[bytes]:
    """Yield the messages that a stream reads from a recording, as JSON."""
    import json

    # An error status or a stall would keep the stream from reading the messages.
    played = recording.replaced(status=200, breaks=None)
    try:
        stream = played.stream()
    except MisuseError:
        # No stream can read the named format, which only an encoder of scripts knows: let it be detected.
        stream = played.replaced(format=None).stream()
    with stream:
        with suppress(StreamError, MisuseError):
            stream.final()
        for message in stream.messages:
            # A lone surrogate, which pydantic could not write, becomes an escape.
            yield json.dumps(message.model_dump(), default=str).encode()


def check_named_headers(names: Iterable[str]) -> frozenset[str]:
    """Return the names of additional headers to keep, in lower case."""
    if isinstance(names, str):
        raise MisuseError(f'headers={names!r} is one name: write headers=("{names}",)')
    lower_names = frozenset(name.lower() for name in names)
    secret_names = sorted(name for name in lower_names if _SECRET_HEADERS.search(name))
    if secret_names:
        raise MisuseError(
            f"the header {secret_names[0]} is never stored, since it holds a secret: leave it out"
        )
    return lower_names


def select_headers(headers: Mapping[str, str], named: frozenset[str]) -> dict[str, str]:
    """Return the headers of a response that a replay needs, and those `named` in lower case."""
    selected = {
        name: value
        for name, value in headers.items()
        if name in _KEPT_HEADERS or name in named or _KEPT_FAMILIES.match(name)
    }
    has_times = any(name == "retry-after" or "-reset" in name.partition("ratelimit")[2] for name in selected)
    if "date" not in named and not has_times:
        # The date is needed only with headers that give absolute times, and differs in each recording.
        selected.pop("date", None)
    return without_secret_headers(selected)


def without_secret_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not _SECRET_HEADERS.search(name.lower())}
