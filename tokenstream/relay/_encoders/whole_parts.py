"""Parts that are sent whole: media, and the calls and results of tools that a provider runs."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from tokenstream._basics.json import escape, to_json_bytes
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.events import MediaDelta, PartDone, PartStart
from tokenstream.message import MediaPart, ServerToolCall, ServerToolResult
from tokenstream.relay._encoders.losses import PHRASES, Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.relay._encoders.encoder import Encoder, Payloads
    from tokenstream.relay._encoders.vocabulary import PartKey

_FAMILIES: dict[str, Loss] = {"image": "image", "audio": "audio", "video": "video"}
"""Maps the first half of a media type to the name of the loss; any other type is a "file"."""
T = TypeVar("T", ServerToolCall, ServerToolResult)
C = TypeVar("C")

FAILED_OUTPUT = "the output of a tool that has failed"
"""The detail for the loss of an output in a protocol whose failed calls have only an error."""
_STATUS_FIELDS = frozenset({"type", "outcome", "status", "is_error"})
"""Fields of a failed tool's output that say no more than that it has failed."""

CODE_TOOL = "code_interpreter"
"""The name of OpenAI's tool whose input is the bare code of a program, which may look like JSON."""
_BEGINS_OBJECT = re.compile(r'\s*\{\s*["}]')
_UNDECIDED = re.compile(r"\s*(?:\{\s*)?")


@dataclass(slots=True)
class Medium:
    """One image, audio or other medium of an answer, as far as it has arrived."""

    mime_type: str | None = None
    url: str | None = None
    pieces: list[bytes] = field(default_factory=list[bytes])
    begun: bool = False
    """True once the content of the `PartStart` was used, so that a repeated `PartStart` adds nothing."""

    @property
    def is_audio(self) -> bool:
        """True for audio, which is sent piece by piece."""
        return self.mime_type is not None and self.mime_type.startswith("audio/")

    def add_details(self, content: MediaPart) -> None:
        self.mime_type = content.mime_type or self.mime_type
        self.url = content.url or self.url

    def to_fields(self, mime_type: str, url: str) -> JsonObject | None:
        """Return the medium as an API's fields, whose names are given: its data, or else its URL."""
        data = b"".join(self.pieces)
        content = {"data": b64encode(data).decode()} if data else drop_none(**{url: self.url})
        return {**drop_none(**{mime_type: self.mime_type}), **content} if content else None

    def to_url(self, mime_type: str) -> str | None:
        """Return a data URL with the medium's data, or the medium's own URL; None if there is neither."""
        data = b"".join(self.pieces)
        return f"data:{mime_type};base64,{b64encode(data).decode()}" if data else self.url


class Media:
    """The media of an answer that have begun and are not complete yet."""

    def __init__(self) -> None:
        self._open: dict[PartKey, Medium] = {}

    def find(self, event: PartStart | MediaDelta) -> Medium:
        """Return the medium that an event belongs to; an empty one if the event is the medium's first."""
        return self._open.setdefault((event.choice, event.part), Medium())

    def start(self, event: PartStart, encode: Callable[[MediaDelta], Payloads]) -> Payloads:
        """Record the start of a medium, and encode the content that the start contains, as a delta.

        Return no payloads for a part of another kind, for a start without content, or for a repeated start.
        """
        content = event.content
        if content.kind != "media":
            return ()
        medium = self.find(event)
        medium.add_details(content)
        if medium.begun or not (content.data or content.transcript):
            return ()
        medium.begun = True
        return encode(MediaDelta(content.data, content.transcript, choice=event.choice, part=event.part))

    def pop(self, event: PartDone) -> Medium | None:
        """Remove and return a complete medium; None if the part is not a medium."""
        medium = self._open.pop((event.choice, event.part), None)
        if medium is not None and isinstance(event.content, MediaPart):
            medium.add_details(event.content)
        return medium


def omit_medium(
    encoder: Encoder, event: PartStart | MediaDelta | PartDone, mime_type: str | None, *sent: str
) -> tuple[()]:
    """Return no payloads for a medium of a type, perhaps unknown, that is not among those `sent`."""
    if mime_type is None:
        return encoder.omit("media whose type is not known", "media", part=event.part)
    kind = _FAMILIES.get(mime_type.partition("/")[0], "file")
    others = f" other than {', '.join(sent)}" if any(each.startswith(f"{kind}/") for each in sent) else ""
    return encoder.omit(f"{PHRASES[kind]}{others}", kind, part=event.part)


def drop_none(**fields: object) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


class ServerParts(Generic[T]):
    """The parts of one class that have begun and not ended; a part may grow until it ends."""

    def __init__(self, part_class: type[T]) -> None:
        self._class: type[T] = part_class
        self._open: dict[PartKey, T] = {}

    def begin(self, event: PartStart) -> None:
        if isinstance(event.content, self._class):
            self._open[event.choice, event.part] = event.content

    def end(self, event: PartDone) -> T | None:
        """Return the complete part that has ended; None for a part of another class, or a second end."""
        started = self._open.pop((event.choice, event.part), None)
        return event.content if started is not None and isinstance(event.content, self._class) else started


class UnnamedCalls(Generic[C]):
    """The calls without ids that wait for their results, which come in the order of the calls.

    Calls in a row get one result each. The results after a single call are all its own.
    """

    def __init__(self) -> None:
        self._waiting: deque[C] = deque()
        self._last_part = -1

    def begin(self, part: int, call: C) -> None:
        """Add a call; after parts of another kind, the calls before it get no more results."""
        if part != self._last_part + 1:
            self._waiting.clear()
        self._last_part = part
        self._waiting.append(call)

    def take(self) -> C | None:
        """Return the call to which the next result belongs; None if there was no call."""
        if len(self._waiting) > 1:
            return self._waiting.popleft()
        return self._waiting[0] if self._waiting else None


def text_of_result(content: Json) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else to_json_bytes(content).decode()


def says_more(output: Json, error: str) -> bool:
    """Return True if the output of a failed tool says more than its error, which was often taken from it."""
    leaves = [*_leaves(output)]
    return leaves != [error] * len(leaves) and "\n".join(map(str, leaves)).strip() != error


def _leaves(value: Json) -> Iterator[object]:
    """Yield the values in a result that are neither empty nor a word for its status."""
    if is_dict(value):
        for name, inner in value.items():
            yield from () if name in _STATUS_FIELDS else _leaves(inner)
    elif is_list(value):
        for inner in value:
            yield from _leaves(inner)
    elif value not in (None, ""):
        yield value


def result_texts(error: str | None, output: Json) -> list[str]:
    """Return the words of a result as texts: an error, and then the output unless that says no more."""
    texts = [] if error is None else [error]
    return [*texts, text_of_result(output)] if error is None or says_more(output, error) else texts


class ServerInput:
    r"""Makes JSON of the input that a model writes for one call of a tool that the provider runs.

    An input that is a JSON object is passed on unchanged, piece by piece. Any other input is the bare code of
    a program, which is wrapped as the string in `{"code":"…"}`.

    Args:
        is_code: True if the input is known to be code; False to decide by the beginning of the input.
    """

    def __init__(self, *, is_code: bool = False) -> None:
        self._held: str | None = ""
        """The text from the beginning, while it may be JSON or not; None once that is decided."""
        self._is_code = is_code

    @property
    def is_empty(self) -> bool:
        return self._held == ""

    def feed(self, text: str) -> str:
        """Return the JSON to send for a piece of the input.

        The result is "" while the start of the input may be that of an object or of code: it is held back.
        """
        if not text:
            return ""
        if self._held is None:
            # The kind of input is decided, and its start was sent.
            return escape(text) if self._is_code else text
        self._held += text
        if not self._is_code and _UNDECIDED.fullmatch(self._held):
            return ""
        return self._decide(is_code=self._is_code or _BEGINS_OBJECT.match(self._held) is None)

    def end(self) -> str:
        """Return the rest of the input: a start that is still held, and the end of a code's JSON."""
        # A start that could still become an object counts as code, now that nothing follows.
        rest = self._decide(is_code=True) if self._held and self._held.strip() else ""
        return rest + ('"}' if self._held is None and self._is_code else "")

    def _decide(self, *, is_code: bool) -> str:
        """Record the kind of the input, and return its start, which was held back, as JSON."""
        held, self._held, self._is_code = self._held or "", None, is_code
        return '{"code":"' + escape(held) if is_code else held


def complete_input(call: ServerToolCall) -> str:
    server_input = ServerInput(is_code=call.name.startswith(CODE_TOOL))
    return server_input.feed(call.arguments_text) + server_input.end()
