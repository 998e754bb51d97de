"""What a client of others must give for an answer: our message, without what its protocol loses.

Nothing but `relay.losses` excuses that a client does not give something.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from tests.compare.sdks.relay.judges.client_answer import ClientAnswer
from tests.support.encoders import create, load
from tokenstream import relay
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    TextPart,
    ToolCall,
    Usage,
)
from tokenstream.relay import ProtocolName
from tokenstream.relay._encoders.losses import Loss

_FAMILIES: dict[str, Loss] = {"image": "image", "audio": "audio", "video": "video"}
"""The names of losses of media, by the first half of the type; any other type is a "file"."""
_ORDERED = {"text": "text", "reasoning": "reasoning", "tool_call": "call", "server_tool_call": "ran"}
"""The kinds of parts whose order is compared."""
COUNTS = Usage.model_fields.keys() - {"basis", "provider_data"}
"""The names of the counts of tokens, and of the cost."""


def differences(
    messages: Sequence[Message], protocol: ProtocolName, given: ClientAnswer
) -> dict[str, tuple[Any, Any]]:
    """Return what of a complete answer differs: by field, what we say and what a client gives."""
    first, *others = (Said(message, protocol) for message in messages)
    found = first.differences(given)
    if "choice" in relay.losses(protocol):
        return found
    for said in others:
        choice = given.choices.get(str(said.choice), ClientAnswer())
        of_choice = said.differences(choice)
        # The counts are those of all choices.
        of_choice.pop("counts", None)
        found |= {f"{name} of choice {said.choice}": each for name, each in of_choice.items()}
    return found


class Said:
    """What a client of a protocol must give for a message."""

    def __init__(self, message: Message, protocol: ProtocolName) -> None:
        self.lost: set[Loss] = set()
        """The losses of the protocol that the message really has."""
        self.choice = message.choice
        self._losses = relay.losses(protocol)
        self._message = message
        self._names_calls = load(protocol).names_calls
        self._called = {part.id for part in message.parts if isinstance(part, ToolCall | ServerToolCall)}
        self._parts = [part for part in message.parts if not self._loses_part(part)]
        self._results = [
            [result.id, result.output, result.error]
            for result in message.results
            if not self._loses_result("tool_result", result.id)
        ]
        self._end = self._choose_end(protocol)
        self._counts = {
            name: count
            for name in COUNTS
            if (count := getattr(message.usage, name)) and not self._loses("usage", name)
        }

    def differences(self, given: ClientAnswer) -> dict[str, tuple[Any, Any]]:
        """Return what differs: by field, what we say and what a client gives."""
        said = self._say()
        told = self._as_said(given, said)
        return {name: (said[name], told[name]) for name in said if said[name] != told[name]}

    # -- what we say -----------------------------------------------------------------

    def _say(self) -> dict[str, Any]:
        kinds = {kind: [part for part in self._parts if part.kind == kind] for kind in _PART_KINDS}
        is_text = "refusal" in self._losses
        texts = [part for part in self._parts if part.kind == "text" or (is_text and part.kind == "refusal")]
        parts = [part for part in kinds["server_tool_result"] if part.kind == "server_tool_result"]
        results = [*([part.id, part.content, part.error] for part in parts), *self._results]
        return {
            "text": _joined(texts),
            "reasoning": _joined(kinds["reasoning"]),
            "refusal": "" if is_text else _joined(kinds["refusal"]),
            "calls": [
                self._say_call(call) for call in self._message.tool_calls if call in kinds["tool_call"]
            ],
            "ran": [
                [part.id, _named(part.name), _words(part.arguments_text)]
                for part in self._parts
                if part.kind == "server_tool_call"
            ],
            "results": _by_id([id, _words(output, error)] for id, output, error in results),
            "citations": sorted(
                [part.url or "", part.title or ""] for part in self._parts if part.kind == "citation"
            ),
            # Of some files only the id is known, which is nothing to show.
            "media": [
                content for part in self._parts if part.kind == "media" and (content := _content_of(part))
            ],
            "transcript": "".join(
                part.transcript
                for part in self._parts
                if part.kind == "media" and part.transcript and not self._loses("transcript")
            ),
            "proofs": list(self._say_proofs()),
            "order": _in_order(self._say_order(texts)),
            "end": self._end,
            "counts": self._counts,
            "error": None,
        }

    def _say_call(self, call: ToolCall) -> list[Any]:
        return [call.id if self._names_calls else "", call.name, _parsed(call.arguments_text)]

    def _say_proofs(self) -> Iterator[str]:
        for part in self._parts:
            if part.kind == "reasoning":
                if part.signature and not self._loses("signature"):
                    yield part.signature
                if part.redacted and not self._loses("encrypted_reasoning"):
                    yield part.redacted

    def _say_order(self, texts: Sequence[Part]) -> Iterator[str | None]:
        """Yield the kind of each part that has something to show."""
        for part in self._parts:
            if part.kind in ("tool_call", "server_tool_call") or _joined([part]):
                yield "text" if part in texts else _ORDERED.get(part.kind)

    def _choose_end(self, protocol: ProtocolName) -> str | None:
        reason = self._message.finish_reason or "stop"
        self._loses("finish_reason", reason)
        if reason == "stop" and self._message.refusal and protocol == "anthropic":
            # There a refusal is text, and the reason alone says what it is.
            reason = "refusal"
        return create(protocol, lossy=True).word_for(reason)

    # -- what is lost ----------------------------------------------------------------

    def _loses(self, kind: Loss, detail: str | None = None) -> bool:
        """Return True if the protocol loses all of a kind of content, or a detail; it then counts as lost."""
        known = self._losses.get(kind)
        if known is None or (known and detail not in known):
            return False
        self.lost.add(kind)
        return True

    def _loses_part(self, part: Part) -> bool:
        if part.kind == "tool_call":
            return not part.complete or self._loses_call(part)
        if part.kind == "citation":
            return self._loses_citation(part)
        if part.kind == "media":
            return self._loses_medium(part)
        if part.kind == "server_tool_result":
            # A client that has one kind of results loses both kinds by one name.
            return self._loses_result(part.kind, part.id) or self._loses_result("tool_result", part.id, ())
        if part.kind == "refusal":
            # It is sent as text: lost is only that it is none.
            self._loses("refusal", "sent as text")
            return False
        return part.kind != "text" and self._loses(part.kind)

    def _loses_result(self, kind: Loss, id: str, all_of_it: tuple[str | None, ...] = (None,)) -> bool:
        """Return True if the protocol loses the result of a call, maybe because it needs the call, too."""
        details = [detail for detail in self._losses.get(kind, ()) if "call" in detail]
        wanted = [*all_of_it, *(details if id not in self._called else ())]
        return any(self._loses(kind, detail) for detail in wanted)

    def _loses_call(self, call: ToolCall) -> bool:
        if call.type == "custom":
            return self._loses("custom_tool_call")
        is_object = isinstance(_parsed(call.arguments_text), dict)
        return self._loses("tool_call") or (not is_object and self._loses("invalid_tool_call"))

    def _loses_citation(self, cited: Citation) -> bool:
        # Protocols that say more of this loss have a place for a title.
        details = self._losses.get("unlinked_citation", ())
        is_unlinked = cited.url is None and not (details and cited.title)
        return self._loses("citation") or (is_unlinked and self._loses("unlinked_citation", *details))

    def _loses_medium(self, part: MediaPart) -> bool:
        if self._loses("media"):
            return True
        if part.mime_type is None:
            return self._loses("media", *self._losses.get("media", ()))
        family = _FAMILIES.get(part.mime_type.partition("/")[0], "file")
        details = self._losses.get(family, ())
        # The detail lists the types of the family that are sent.
        return not any(part.mime_type in detail for detail in details) and self._loses(family, *details)

    # -- what clients give -------------------------------------------------------------

    def _as_said(self, given: ClientAnswer, said: dict[str, Any]) -> dict[str, Any]:
        """Return what a client gives, in the form of what we say."""
        incomplete = {call.id for call in self._message.tool_calls if not call.complete}
        inputs = dict(enumerate(said["ran"]))
        outputs: dict[str, list[str]] = dict(said["results"])
        counts = given.counts or dict.fromkeys(said["counts"])
        return {
            **vars(given),
            "calls": [
                [id or "", name, _parsed(arguments)]
                for id, name, arguments in given.calls
                # A call that was cut off: clients have no field that says so.
                if not id or id not in incomplete
            ],
            "ran": [
                _like(inputs.get(at, ["", "", []]), [id, _named(name), arguments])
                for at, (id, name, arguments) in enumerate(given.ran)
            ],
            "results": _by_id(
                _like([known := id if id in outputs else "", outputs.get(known, [])], [id, output])
                for id, output in given.results
            ),
            "citations": sorted([url or "", title or ""] for url, title in given.citations),
            "media": [content for url in given.media if (content := url.removeprefix(_data_head(url)))],
            "proofs": [proof for proof in given.proofs if proof],
            # Where a call was cut off, clients differ in showing it.
            "order": _in_order(given.order) if given.order and not incomplete else said["order"],
            # Not every client has a field for each count.
            "counts": {name: counts.get(name, count) for name, count in said["counts"].items()},
        }


_PART_KINDS = ("reasoning", "refusal", "tool_call", "server_tool_result")


def _joined(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart | ReasoningPart | RefusalPart))


def _like(ours: list[Any], theirs: list[Any]) -> list[Any]:
    """Return a client's call or result as ours is written.

    It has no id if we have none, as it was made up; no name, if the client has none; and of its words, which
    may be in the protocol's own form and say more, only those that we say.
    """
    *names, said = ours
    *told, words = theirs
    known = [name if other is None else name and other for name, other in zip(names, told, strict=True)]
    return [*known, sorted({*said} & {*_words(words)})]


def _named(name: str | None) -> str | None:
    """Return the name of a tool as it is compared: Google writes some in capitals, OpenAI names items."""
    return name and name.removesuffix("_call").lower()


def _by_id(results: Iterable[list[Any]]) -> list[list[Any]]:
    """Return results by the ids of their calls: clients keep each with its call."""
    return sorted(results, key=lambda result: str(result[0]))


def _words(*values: Any) -> list[str]:
    """Return the texts and numbers in JSON values, which may be written as text, but no types."""
    found: set[str] = set()
    for value in values:
        each = _parsed(value) if isinstance(value, str) and value else value
        if isinstance(each, dict):
            found.update(_words(*(inner for name, inner in each.items() if name != "type")))
        elif isinstance(each, list):
            found.update(_words(*each))
        elif each is not None and each != "":
            found.add(str(each))
    return sorted(found)


def _in_order(kinds: Iterable[str | None]) -> list[str]:
    """Return kinds of parts without those that are not compared, and each once in a row."""
    return [kind for kind, _ in groupby(kind for kind in kinds if kind is not None)]


def _parsed(arguments: str) -> Any:
    """Return arguments as JSON where they are some, else as text; none are an empty object."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _data_head(url: str) -> str:
    """Return what stands before the data in a `data:` URL; "" for any other."""
    return url.partition(",")[0] + "," if url.startswith("data:") else ""


def _content_of(part: MediaPart) -> str:
    return b64encode(part.data).decode() if part.data else part.url or ""
