"""Candidates: the tool calls of each, which come whole or by values, and its sources, each cited once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, int_of, is_dict, is_list, text_of
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._wire.gemini.arguments import StreamedArguments, read_path
from tokenstream.message import Citation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall, OpenChoice

_SOURCE_FIELDS = ("web", "retrievedContext", "maps", "image")
"""The fields of a grounding chunk that may hold its source, one for each kind of chunk."""


class Sources:
    """Makes the citations of one candidate, and yields each citation once.

    Google's *grounding chunks* are sources; its *grounding supports* are passages of the
    answer, each with the positions of the chunks that support it.

    Example:
        >>> sources = Sources()
        >>> quoted = {"citations": [{"startIndex": 3, "endIndex": 9, "uri": "https://example.org"}]}
        >>> [citation.url for citation in sources.cite_quotations(quoted)]
        ['https://example.org']
        >>> list(sources.cite_quotations(quoted))
        []
    """

    __slots__ = ("_chunks", "_citations", "_cited_sources")

    def __init__(self) -> None:
        self._citations: set[tuple[object, ...]] = set()
        """Keys of the citations yielded so far."""
        self._cited_sources: set[tuple[object, ...]] = set()
        """The URL and title of each grounding chunk that was cited."""
        self._chunks: list[JsonObject] = []
        """The last list of grounding chunks, which are Google's sources."""

    def cite_grounding(self, metadata: JsonObject) -> Iterator[Citation]:
        """Yield a citation for each source of each supported passage, unless it was cited before.

        Supports name chunks by their positions: in the metadata's list or, without one, in the list that came
        last.
        """
        chunks = metadata.get("groundingChunks")
        if is_list(chunks) and chunks:
            # Anything that is not an object is kept as an empty one, because chunks are named by position.
            self._chunks = [chunk if is_dict(chunk) else {} for chunk in chunks]
        for support in dicts_of(metadata.get("groundingSupports")):
            indices = support.get("groundingChunkIndices")
            segment = dict_of(support, "segment")
            for index in indices if is_list(indices) else []:
                if isinstance(index, int) and 0 <= index < len(self._chunks):
                    yield from self._cite_chunk(self._chunks[index], segment, support)

    def cite_without_support(self) -> Iterator[Citation]:
        """Yield a citation for each source in the last list of chunks that supports no passage."""
        for chunk in self._chunks:
            source = _find_grounding_source(chunk)
            if (text_of(source, *_URLS), text_of(source, "title")) not in self._cited_sources:
                yield from self._cite_chunk(chunk, segment={}, support=None)

    def cite_quotations(self, metadata: JsonObject) -> Iterator[Citation]:
        """Yield a citation for each passage that quotes a source, unless it was cited before."""
        # The documented name is `citations`; some servers send `citationSources`.
        for name in ("citations", "citationSources"):
            for source in dicts_of(metadata.get(name)):
                start, end = _span_of(source)
                url, title = text_of(source, "uri"), text_of(source, "title")
                if self._note("cited", url, title, start, end):
                    yield Citation(url=url, title=title, start=start, end=end, provider_data=source)

    def _cite_chunk(
        self, chunk: JsonObject, segment: JsonObject, support: JsonObject | None
    ) -> Iterator[Citation]:
        """Yield a citation of a grounding chunk with a URL or title, unless the passage has it already."""
        source = _find_grounding_source(chunk)
        url, title = text_of(source, *_URLS), text_of(source, "title")
        start, end = _span_of(segment)
        if url is None and title is None:
            return
        # At the end, only the sources that no passage has cited are cited for the whole answer.
        self._cited_sources.add((url, title))
        if self._note("grounded", url, title, start, end):
            data: JsonObject = {"groundingChunk": chunk}
            if support is not None:
                data["groundingSupport"] = support
            yield Citation(
                url=url, title=title, text=text_of(source, "text"), start=start, end=end, provider_data=data
            )

    def _note(self, *key: object) -> bool:
        """Remember the key of a citation; return False if it is repeated."""
        if key in self._citations:
            return False
        self._citations.add(key)
        return True


_URLS = ("uri", "sourceUri", "imageUri")


def _find_grounding_source(chunk: JsonObject) -> JsonObject:
    """Return the object in a grounding chunk that describes its source; empty for an unknown kind."""
    for kind in _SOURCE_FIELDS:
        source = dict_of(chunk, kind)
        if source:
            return source
    return {}


def _span_of(passage: JsonObject) -> tuple[int | None, int | None]:
    """Return the start and end of a passage, each None if unknown; the API omits a start of 0."""
    start, end = int_of(passage, "startIndex"), int_of(passage, "endIndex")
    return (0 if start is None and end is not None else start), end


_CALL_FIELDS = ("name", "id", "args", "partialArgs", "willContinue")
_ARGUMENT_FIELDS = split_names("jsonPath willContinue stringValue numberValue boolValue nullValue")
_MISSING = object()


class Candidate:
    """The state of a Gemini candidate that no other format needs: its open call and its sources."""

    __slots__ = ("arguments", "call", "early", "sources")

    def __init__(self) -> None:
        self.call: OpenCall | None = None
        """The call whose arguments are still arriving."""
        self.arguments = StreamedArguments()
        """The arguments of `call`, as far as they have arrived."""
        self.early: list[JsonObject] = []
        """Pieces of a streamed call that came before its name; they are in opaque parts, too."""
        self.sources = Sources()

    def take_early(self, start: JsonObject) -> list[JsonObject]:
        """Return the pieces that came before the first piece of a call, if it is streamed; forget them."""
        early, self.early = self.early, []
        return early if start.get("willContinue") is True else []


class CallParts(Parts):
    """The base class of `GeminiParts`: reads tool calls, which may extend over many payloads."""

    __slots__ = ()

    def candidate(self, choice: OpenChoice) -> Candidate:
        if choice.reader is None:
            choice.reader = Candidate()
        candidate: Candidate = choice.reader
        return candidate

    def add_call(self, choice: int, value: object, part_fields: JsonObject) -> bool:
        """Read a call or a piece of a call; return False if the value is not readable as either."""
        if not is_dict(value):
            return False
        if None in value.values():
            # Some libraries write all fields that a call may have.
            value = {name: member for name, member in value.items() if member is not None}
        state = self.choice(choice)
        candidate = self.candidate(state)
        call = self._find_continued_call(candidate, value)
        if call is None:
            if not text_of(value, "name"):
                return self._skip_nameless(candidate, value)
            call = self._start_call(state, candidate, value, part_fields)
            for early in candidate.take_early(value):
                self._add_values(choice, candidate, call, early)
        elif part_fields:
            call.provider_data = {**(call.provider_data or {}), **part_fields}
        is_last_piece = value.get("willContinue") is not True
        if is_last_piece and candidate.call is None and "partialArgs" not in value:
            # The usual case: a call that is not streamed.
            self.add_whole_arguments(call, value.get("args"))
        else:
            self._add_values(choice, candidate, call, value)
            if is_last_piece:
                self.add_arguments(call, candidate.arguments.end())
        candidate.call = None if is_last_piece else call
        if is_last_piece:
            self.close_call(call)
        return True

    def _find_continued_call(self, candidate: Candidate, value: JsonObject) -> OpenCall | None:
        """Return the open call that a piece continues; None, with the open call closed, if it begins one."""
        call, name = candidate.call, text_of(value, "name")
        if call is None or name is None:
            return call
        known_id = (call.provider_data or {}).get("id")
        same_name_and_id = name == call.name and text_of(value, "id") == known_id
        # Without ids, the same name may also mean another call of the same tool. The piece then continues
        # the open call only if it has `partialArgs`, or has neither `args` nor `willContinue`.
        continues = "partialArgs" in value or not ("args" in value or value.get("willContinue"))
        # Before any argument, the same start is that of the open call, which has come again.
        continues = continues or ("args" not in value and call.is_empty)
        if same_name_and_id and (known_id or continues):
            self.note("call_repeated")
            return call
        self.end_call(candidate)
        return None

    def _skip_nameless(self, candidate: Candidate, value: JsonObject) -> bool:
        """Count a departure for a nameless piece without an open call; return True if it has no content."""
        if fields_except(value, "willContinue") is None:
            # The piece only says whether another piece follows.
            self.note("part_end_unmatched")
            candidate.early.clear()
            return True
        self.note("call_nameless")
        if "partialArgs" in value and len(candidate.early) < self.limits.parts:
            candidate.early.append(value)
        return False

    def _start_call(
        self, state: OpenChoice, candidate: Candidate, value: JsonObject, part_fields: JsonObject
    ) -> OpenCall:
        """Open a call at its first piece, which has the call's name and all data except the arguments."""
        candidate.arguments = StreamedArguments()
        sent_id, other_fields = text_of(value, "id"), fields_except(value, *_CALL_FIELDS)
        # `provider_data` has the id only if the server sent one. `OpenCall` always needs an id, and a
        # missing one is not a departure, since the API may omit it.
        data: JsonObject = {"id": sent_id} if sent_id else {}
        data.update(part_fields)
        if other_fields:
            data["functionCall"] = other_fields
        name = text_of(value, "name") or ""
        return self.open_call(state.index, sent_id or "", name, provider_data=data or None)

    def _add_values(self, choice: int, candidate: Candidate, call: OpenCall, value: JsonObject) -> None:
        """Add the arguments in a piece of a call: values with paths (`partialArgs`), or members (`args`)."""
        arguments = candidate.arguments
        fragments: list[str] = []
        if not is_dict(value.get("args", {})):
            arguments.broken = True
        for name, member in dict_of(value, "args").items():
            fragments.append(arguments.put(name, member))
        for argument in dicts_of(value.get("partialArgs")):
            path, argument_value = read_path(argument.get("jsonPath")), _value_of(argument)
            if path is None:
                # The path names no single place.
                arguments.broken = True
            elif argument_value is not _MISSING:
                self.tell_fields(argument, _ARGUMENT_FIELDS)
                more = argument.get("willContinue") is True
                fragments.append(arguments.add(path, argument_value, more=more))
            elif fields_except(argument, "jsonPath", "willContinue") is not None:
                # Without this value, the call would differ from what the model wrote.
                arguments.broken = True
                self._report_unread_argument(choice, argument)
            elif not arguments.end_string(path):
                # Without a value, the argument can only end a string, and none is open at its path.
                self._report_unread_argument(choice, argument)
        self.add_arguments(call, "".join(fragments))

    def _report_unread_argument(self, choice: int, argument: JsonObject) -> None:
        self.note("delta_misfits")
        self.stray("partialArgs", argument, choice)

    def end_call(self, candidate: Candidate, *, cut_off: bool = False) -> None:
        """Close the call whose arguments still arrive, if any; `cut_off` if the answer broke off in it."""
        call, candidate.call = candidate.call, None
        if call is None:
            return
        if not cut_off:
            self.note("part_unclosed")
            # The brackets that are added here are no later piece.
            call.waits = False
            self.add_arguments(call, candidate.arguments.end())
        self.close_call(call, whole=not cut_off and not candidate.arguments.lacks_text)


def _value_of(argument: JsonObject) -> object:
    text, number = argument.get("stringValue"), argument.get("numberValue")
    if isinstance(text, str):
        return text
    if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
        return number
    flag = argument.get("boolValue")
    if isinstance(flag, bool):
        return flag
    return None if "nullValue" in argument else _MISSING
