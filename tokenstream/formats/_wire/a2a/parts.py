"""The parts of a task: its artifacts, which grow or are sent again whole, and its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import canonical_json
from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, text_of, text_or_empty
from tokenstream.formats._kit.count_paths import GOOGLE_USAGE
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.values import base64_bytes, mend_surrogates, split_names
from tokenstream.formats._kit.whole_text import WholeText, added_by
from tokenstream.message import MediaPart, OpaquePart, ReasoningPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.parts import TextKind
    from tokenstream.message import Usage

# Quirk (google-adk, 2026-11): token counts and the mark of a thought are in the metadata, under names with
# a prefix of the framework; kagent, which is built on it, has a prefix of its own.
_PREFIXES = ("adk_", "kagent_")
A2APiece: TypeAlias = dict[str, Any]
"""A piece of content, which the protocol calls a part: a text, a file or data."""
_TEXT_FIELDS = ("kind", "text")
_FILE_FIELDS = split_names("kind bytes uri mimeType raw url mediaType fileWithBytes fileWithUri")
_ARTIFACT_FIELDS = split_names("artifactId name description parts metadata extensions")
_MESSAGE_FIELDS = ("kind", "role", "parts", "content", "taskId", "contextId")


class Run:
    """Adjacent texts of one kind, text or reasoning, in an artifact or a message.

    A run becomes one part of our message; or several parts, if the server adds to an artifact that it has
    ended.
    """

    __slots__ = ("fields", "kind", "length", "parts")

    def __init__(self, kind: TextKind) -> None:
        self.kind: TextKind = kind
        self.parts: list[OpenPart] = []
        self.fields: JsonObject | None = None
        """The fields of the run's last piece besides the text; None if there are none."""
        self.length = 0
        """Number of characters that have arrived."""


class Content:
    """The fields and segments of an artifact or a message that have been read so far.

    Args:
        owner: "artifact" or "message": the name under which the `provider_data` of each part has the fields
            of the artifact or message.
    """

    __slots__ = ("fields", "is_ended", "other_parts", "owner", "segments")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.fields: JsonObject = {}
        """The fields of the artifact or message besides the content, such as its name."""
        self.segments: list[Run | int] = []
        """The runs of text, and a fingerprint of each piece that is not text, in order."""
        self.other_parts: list[int] = []
        """Indexes of the parts that are not text."""
        self.is_ended = False
        """True once the server has announced that nothing more follows."""

    @property
    def open_run(self) -> Run | None:
        """The run to which more text would be added; None if the content does not end with text."""
        last = self.segments[-1] if self.segments else None
        return last if isinstance(last, Run) else None

    def describe(self, piece: JsonObject | None) -> JsonObject | None:
        """Return a part's `provider_data`: fields of the artifact or message, and of the piece; or None."""
        named = {self.owner: self.fields, "part": piece}
        return {name: fields for name, fields in named.items() if fields} or None


class TaskParts(Parts):
    """Turns the artifacts and messages of a task into parts of the answer's message."""

    __slots__ = ("_artifacts", "last_run")

    def _set_up(self) -> None:
        super()._set_up()
        self._artifacts: dict[tuple[str, str], Content] = {}
        """The artifacts by the ids of their task and their own."""
        self.last_run: Run | None = None
        """The run that the last piece of text was added to."""

    # -- artifacts ---------------------------------------------------------

    def read_artifact(
        self,
        task_id: str,
        artifact: JsonObject,
        *,
        appends: bool = False,
        is_last: bool = False,
        replaces: bool = False,
    ) -> None:
        """Add pieces to an artifact; if the artifact is sent whole, add only what has not arrived.

        A whole artifact that is another one `replaces` what has arrived, or is only reported: it is a
        snapshot, which may be older.
        """
        id = text_of(artifact, "artifactId")
        if id is None:
            self.note("part_index_missing")
        key = (task_id, id or "")
        content = self._artifacts.get(key)
        if content is None:
            if appends:
                self.note("part_unopened")
            self.check_room(len(self._artifacts))
            content = self._artifacts.setdefault(key, Content("artifact"))
            # Nothing has arrived with which a whole artifact could be compared.
            appends = True
        pieces = dicts_of(artifact.get("parts"))
        self._merge_fields(content, fields_except(artifact, "parts") or {})
        if not pieces:
            # No part has its fields.
            self.tell_fields(artifact, _ARTIFACT_FIELDS)
        if appends:
            self._append_pieces(content, pieces)
        elif not self._append_what_is_new(content, pieces):
            self.note("text_rewritten")
            if replaces:
                # The artifact begins anew: what has arrived of it counts no longer.
                content = self._replace(key, content)
                self._append_pieces(content, pieces)
            else:
                self.field(f"artifacts.{id or ''}", artifact)
        if is_last:
            content.is_ended = True
            self._close_run(content)

    def _replace(self, key: tuple[str, str], old: Content) -> Content:
        """Withdraw the parts of an artifact that the server sends anew; return the content to begin with."""
        for segment in old.segments:
            if isinstance(segment, Run):
                for part in segment.parts:
                    self.withdraw(part.index, segment.kind)
        for index in old.other_parts:
            self.withdraw(index, "opaque")
        content = self._artifacts[key] = Content("artifact")
        content.fields = old.fields
        return content

    def contains(self, pieces: Iterable[A2APiece]) -> bool:
        """Return whether the content of a message, given by its pieces, has arrived before as an artifact."""
        merged = _merge(pieces)
        return any(
            len(content.segments) == len(merged) and self._find_new(content, merged) == []
            for content in self._artifacts.values()
        )

    # -- messages ----------------------------------------------------------

    def read_message(self, message: JsonObject) -> None:
        """Add a message of the agent, which is always whole."""
        content = Content("message")
        content.fields = fields_except(message, *_MESSAGE_FIELDS) or {}
        self._append_pieces(content, pieces_of(message))
        self._close_run(content)

    # -- content -----------------------------------------------------------

    def _append_pieces(self, content: Content, pieces: Iterable[A2APiece]) -> None:
        for piece in pieces:
            text = piece.get("text")
            if isinstance(text, str):
                kind: TextKind = "reasoning" if is_thought(piece) else "text"
                self._add_text(content, kind, text, fields_except(piece, *_TEXT_FIELDS))
            else:
                self._close_run(content)
                content.segments.append(fingerprint_of(piece))
                content.other_parts.append(self.first_part + self.choice(0).next_part)
                self._add_other(content, piece)

    def _add_text(self, content: Content, kind: TextKind, text: str, fields: JsonObject | None) -> None:
        """Add text to the run at the end of an artifact or a message; begin a run if the kind is another."""
        if not text and fields is None:
            return
        run = content.open_run
        if run is None or run.kind != kind:
            self._close_run(content)
            run = Run(kind)
            content.segments.append(run)
        has_new_fields = fields is not None and fields != run.fields
        if has_new_fields:
            run.fields = fields
        if not run.parts or run.parts[-1].closed:
            # The run is new, or the server adds to an artifact that it has ended.
            if content.is_ended:
                self.note("part_after_close")
            run.parts.append(self.open(0, _blank(kind, content.describe(run.fields))))
        elif has_new_fields:
            self.report_start_again(run.parts[-1], _blank(kind, content.describe(run.fields)))
        run.length += len(text)
        self.last_run = run
        self.add(run.parts[-1], text)

    def _add_other(self, content: Content, piece: A2APiece) -> None:
        """Add a piece that is not text: a file as media, and anything else as an opaque part."""
        # In version 1.0, the fields of a file are in the piece itself.
        file = dict_of(piece, "file") or piece
        encoded = text_of(file, "bytes", "raw", "fileWithBytes")
        url = text_of(file, "uri", "url", "fileWithUri")
        if encoded is None and url is None:
            kind = text_of(piece, "kind") or next((key for key in ("data", "file") if key in piece), "part")
            self.whole(0, OpaquePart(type=kind, data={**(content.describe(None) or {}), **piece}))
            return
        data = None if encoded is None else base64_bytes(encoded)
        if encoded is not None and data is None:
            self.add_undecodable_media(0, "file", {**(content.describe(None) or {}), **piece})
            return
        all_fields = {**(fields_except(piece, "file") or {}), **file}
        media = MediaPart(
            mime_type=text_of(file, "mimeType", "mediaType"),
            data=data or b"",
            url=url,
            provider_data=content.describe(fields_except(all_fields, *_FILE_FIELDS)),
        )
        self.whole(0, media)

    def _merge_fields(self, content: Content, fields: JsonObject) -> None:
        """Add fields to those of an artifact; if they change, report the start of the open part again."""
        metadata = {**dict_of(content.fields, "metadata"), **dict_of(fields, "metadata")}
        merged = {**content.fields, **fields, **({"metadata": metadata} if metadata else {})}
        if merged != content.fields:
            content.fields = merged
            run = content.open_run
            if run is not None and not run.parts[-1].closed:
                self.report_start_again(run.parts[-1], _blank(run.kind, content.describe(run.fields)))

    def _close_run(self, content: Content) -> None:
        run = content.open_run
        if run is not None:
            self.close(run.parts[-1])

    # -- content that is sent again ----------------------------------------

    def _append_what_is_new(self, content: Content, pieces: list[A2APiece]) -> bool:
        """Add the pieces of a whole artifact that have not arrived; return False if it begins otherwise."""
        new = self._find_new(content, _merge(pieces))
        if new is not None:
            self._append_pieces(content, new)
        return new is not None

    def _find_new(self, content: Content, pieces: list[A2APiece]) -> list[A2APiece] | None:
        """Return the pieces that follow what has arrived; None if `pieces` do not begin with that."""
        arrived = content.segments
        if len(pieces) < len(arrived):
            return None
        for position, (segment, piece) in enumerate(zip(arrived, pieces, strict=False)):
            if not isinstance(segment, Run):
                # The fingerprint of a piece that is not text.
                if segment != fingerprint_of(piece):
                    return None
                continue
            text = piece.get("text")
            if not isinstance(text, str) or is_thought(piece) != (segment.kind == "reasoning"):
                return None
            text = mend_surrogates(text) if self.may_hold_surrogates else text
            length = self._count_arrived(segment, text)
            if length is None:
                return None
            if length < len(text):
                # Only the last run can have arrived without its end.
                is_last_run = position == len(arrived) - 1
                return [{**piece, "text": text[length:]}, *pieces[position + 1 :]] if is_last_run else None
        return pieces[len(arrived) :]

    def _count_arrived(self, run: Run, text: str) -> int | None:
        """Return the length of a run in characters; None if `text` does not begin with the run's text."""
        if self.find_text is None:
            # Without a message, the text of the run is not known, but only its length.
            return run.length if len(text) >= run.length else None
        arrived = self._text_of(run)
        return len(arrived) if text.startswith(arrived) else None

    def _text_of(self, run: Run) -> str:
        texts = [WholeText("", 0, run.kind, choice=0, part=part.index) for part in run.parts]
        find = self.find_text
        return "" if find is None else "".join([find(each) + added_by(self._out, each) for each in texts])


def pieces_of(message: JsonObject) -> list[A2APiece]:
    return dicts_of(parts_field(message))


def text_in(pieces: Iterable[A2APiece]) -> str:
    return "".join([text_or_empty(piece, "text") for piece in pieces if not is_thought(piece)])


def _merge(pieces: Iterable[A2APiece]) -> list[A2APiece]:
    """Return pieces with adjacent texts of one kind joined; an empty text without fields is left out."""
    merged: list[A2APiece] = []
    texts: list[str] = []
    """The texts to be joined: `merged` ends with the piece of the first of them."""

    def end_text() -> None:
        """Put all of the text into the last piece of `merged`."""
        if texts:
            merged[-1] = {**merged[-1], "text": "".join(texts)}
            texts.clear()

    for piece in pieces:
        text = piece.get("text")
        if not isinstance(text, str):
            end_text()
            merged.append(piece)
        elif text or fields_except(piece, *_TEXT_FIELDS):
            if not texts or is_thought(merged[-1]) != is_thought(piece):
                end_text()
                merged.append(piece)
            texts.append(text)
    end_text()
    return merged


def fingerprint_of(piece: A2APiece) -> int:
    """Return a number by which a later piece is found to be equal to this one."""
    return hash(canonical_json(piece))


def _blank(kind: TextKind, data: JsonObject | None) -> TextPart | ReasoningPart:
    return ReasoningPart(provider_data=data) if kind == "reasoning" else TextPart(provider_data=data)


def parts_field(message: JsonObject) -> object:
    """Return a message's field `parts`; or `content`, its name in version 0.3 over HTTP without JSON-RPC."""
    return message["parts"] if "parts" in message else message.get("content")


def is_thought(piece: JsonObject) -> bool:
    metadata = dict_of(piece, "metadata")
    return any(metadata.get(f"{prefix}thought") is True for prefix in _PREFIXES)


def usage_in(metadata: JsonObject) -> Usage | None:
    """Return the token counts in metadata; None if there are none."""
    for prefix in _PREFIXES:
        report = dict_of(metadata, f"{prefix}usage_metadata")
        if report:
            return GOOGLE_USAGE.read(report)
    return None
