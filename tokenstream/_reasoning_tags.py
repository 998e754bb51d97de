"""Reasoning that a model writes into its text, between tags: told as reasoning, in parts of its own."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.errors import MisuseError
from tokenstream.events import CitationAdded, PartDone, PartStart, ReasoningDelta, TextDelta
from tokenstream.message import ReasoningPart, TextPart
from tokenstream.stages._text.tags import TagScanner, check_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tokenstream.events import Event
    from tokenstream.formats._answer import Throughs
    from tokenstream.limits import Limits

__all__ = ["ReasoningTags", "tagged"]

_KNOWN = ("think", "thinking", "thought", "reasoning")
"""The tags that models are known to write their reasoning between."""

_Follow: TypeAlias = "Callable[[Any], bool | None] | None"
_TEXT, _REASONING = TextPart.model_construct(), ReasoningPart.model_construct()


def tagged(asked: bool | Iterable[str]) -> Throughs | None:  # noqa: FBT001 - as callers give it
    """Return what makes a `ReasoningTags` for each format; None where no tags are asked for.

    Args:
        asked: Names of tags, or True for those that are known.

    Raises:
        MisuseError: One of them is not the name of a tag.
    """
    named: Any = asked
    if isinstance(named, str | bytes) or (not hasattr(named, "__iter__") and named is not True):
        raise MisuseError(
            "reasoning_tags= is the names of tags, such as ('think',), or True for those that are known, "
            f"and not {asked!r}"
        )
    names = _KNOWN if named is True else check_tags(tuple(named))
    return partial(ReasoningTags, names) if names else None


class _Text:
    """A text part of the format, and the part of the message that it is written to now.

    Args:
        names: The names of the tags.
        part: Its index with the format.
        start: What the part began as, without text.
    """

    __slots__ = ("part", "place", "scanner", "start", "within")

    def __init__(self, names: tuple[str, ...], part: int, start: TextPart) -> None:
        self.scanner = TagScanner(names)
        self.part = part
        self.start = start
        self.place = -1
        """The index of the part of the message; -1 before there is one."""
        self.within: bool | None = None
        """That part is reasoning."""


class ReasoningTags:
    """Stands behind a format, and gives its events with parts of reasoning for what stands between tags.

    A part of text that has tags becomes several parts, and all others get the index that
    follows from that. A part begins with what it has to show, so that none is empty.
    Events are never changed, since a format may go on with them: what is given instead is a copy.

    Args:
        names: The names of the tags.
        limits: `Limits.parts` bounds how many parts there may be; no tag counts behind them.
    """

    __slots__ = (
        "_count",
        "_cut",
        "_most",
        "_names",
        "_next",
        "_own",
        "_places",
        "_split",
        "_texts",
        "_writing",
    )

    def __init__(self, names: tuple[str, ...], limits: Limits) -> None:
        self._names = names
        self._most = limits.parts
        self._texts: dict[tuple[int, int], _Text] = {}
        """Text parts of the format that are open, by choice and index."""
        self._writing: dict[tuple[int, int], _Text] = {}
        """The same by choice and index in the message."""
        self._places: dict[tuple[int, int], int] = {}
        """The index in the message of each part, of a text the last one that it was written to."""
        self._own: dict[tuple[int, int], int] = {}
        """The index that the format gave to each part that is not text, by its index in the message."""
        self._next: dict[int, int] = {}
        """The number of parts that each choice has."""
        self._count = 0
        """The number of parts of all choices."""
        self._split: set[int] = set()
        """Choices of whose text something was left out."""
        self._cut: list[tuple[int, int]] = []

    def cut(self, choice: int, part: int) -> None:
        """Give what is held back of a part with the next events: it was cut, and has no end."""
        self._cut.append((choice, part))

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return what to give for the events of a payload."""
        out: list[Event] = []
        for event in events:
            if event.part is None:
                out.append(event)
                continue
            text = self._texts.get((event.choice, event.part))
            if isinstance(event, TextDelta):
                self._write(text or self._begin(event, _TEXT), event, out)
            elif isinstance(event, PartStart) and isinstance(event.content, TextPart):
                self._start(text, event, event.content, out)
            elif isinstance(event, PartDone) and text is not None:
                self._end(text, event, out)
            else:
                if isinstance(event, CitationAdded):
                    self._show(event, out)
                out.append(self._moved(event))
        for place in self._cut:
            text = self._texts.pop(place, None)
            if text is not None:
                self._release(text, TextDelta("", choice=place[0], part=place[1]), out)
        self._cut.clear()
        return out

    def own(self, choice: int, place: int) -> int:
        """Return the index that the format gave to a part which is not text."""
        return self._own.get((choice, place), place)

    def follow(self, delta: Any, inner: _Follow) -> _Follow:  # noqa: ANN401 - a delta
        """Return what takes each delta like this one that is read without decoding; see `Format.follow`.

        Args:
            delta: A delta that was given.
            inner: What the format itself does with each of them.
        """
        text = self._writing.get((delta.choice, delta.part))
        if text is None:
            return inner
        place = text.place

        def take(event: Any) -> bool:  # noqa: ANN401 - a delta
            if text.place != place or not text.scanner.passes(event.text):
                return False
            if inner is not None and inner(event) is False:
                return False
            text.scanner.skim(event.text)
            return True

        return take

    # -- texts ---------------------------------------------------------------

    def _begin(self, event: Event, start: TextPart) -> _Text:
        part: int = event.part or 0
        text = self._texts[event.choice, part] = _Text(self._names, part, start)
        return text

    def _start(self, text: _Text | None, event: PartStart, content: TextPart, out: list[Event]) -> None:
        start = content.model_copy(update={"text": ""}) if content.text else content
        if text is None:
            text = self._begin(event, start)
        elif text.start != start:
            text.start = start
            if text.within is False:
                self._open(text, event, out)
        if content.text:
            self._write(
                text, TextDelta(content.text, choice=event.choice, part=event.part, raw=event.raw), out
            )

    def _write(self, text: _Text, event: TextDelta, out: list[Event]) -> None:
        for within, piece in text.scanner.feed(event.text):
            full = text.within is not None and self._count >= self._most
            self._give(text, piece, event, out, within=bool(text.within) if full else within)

    def _give(self, text: _Text, piece: str, event: Event, out: list[Event], *, within: bool) -> None:
        if text.within is not within:
            self._turn(text, event, out, within=within)
        if isinstance(event, TextDelta) and not within and piece == event.text and text.place == event.part:
            out.append(event)
            return
        kind = ReasoningDelta if within else TextDelta
        out.append(kind(piece, choice=event.choice, part=text.place, raw=event.raw))

    def _turn(self, text: _Text, event: Event, out: list[Event], *, within: bool) -> None:
        """End the part that a text is written to, and begin the next one."""
        choice = event.choice
        if text.within is not None:
            del self._writing[choice, text.place]
            out.append(PartDone(None, choice=choice, part=text.place, raw=event.raw))
        text.within, text.place = within, self._new_place(choice)
        self._writing[choice, text.place] = text
        if not within:
            self._places[choice, text.part] = text.place
        self._open(text, event, out)

    def _open(self, text: _Text, event: Event, out: list[Event]) -> None:
        content = _REASONING if text.within else text.start
        out.append(PartStart(content, choice=event.choice, part=text.place, raw=event.raw))

    def _show(self, event: CitationAdded, out: list[Event]) -> None:
        """Begin the texts that have shown nothing yet: a source stands behind what it is named for."""
        for (choice, _), text in self._texts.items():
            if choice == event.choice and text.within is None:
                self._turn(text, event, out, within=False)

    def _release(self, text: _Text, event: Event, out: list[Event]) -> None:
        """Give what is held back of a text, which is a part even if it has nothing to show."""
        for within, piece in text.scanner.end():
            self._give(text, piece, event, out, within=within)
        if text.within is None:
            self._turn(text, event, out, within=False)
        del self._writing[event.choice, text.place]
        if text.scanner.tagged:
            self._split.add(event.choice)

    def _end(self, text: _Text, event: PartDone, out: list[Event]) -> None:
        del self._texts[event.choice, event.part]
        self._release(text, event, out)
        content = event.content
        if text.scanner.tagged and isinstance(content, TextPart):
            # Its text is the one with the tags; what else is known now is kept.
            known = content.model_copy(update={"text": "", "complete": False})
            if not text.within and known != text.start:
                out.append(PartStart(known, choice=event.choice, part=text.place, raw=event.raw))
            content = None
        if text.place == event.part and content is event.content:
            out.append(event)
        else:
            out.append(PartDone(content, choice=event.choice, part=text.place, raw=event.raw))

    # -- other parts -----------------------------------------------------------

    def _moved(self, event: Any) -> Any:  # noqa: ANN401 - any event of a part
        """Return an event of a part that is not text, with the index that the part has in the message."""
        key = event.choice, event.part
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._new_place(event.choice)
            self._own[event.choice, place] = event.part
        cites = event.citation.cites if isinstance(event, CitationAdded) else None
        if place == event.part and event.choice not in self._split and cites is None:
            return event
        moved = copy(event)
        moved.part = place
        if isinstance(moved, CitationAdded):
            moved.citation = self._cited(moved)
        return moved

    def _cited(self, event: CitationAdded) -> Any:  # noqa: ANN401 - a citation
        """Return a citation of the part that it names in the message; in a text with tags, of no place."""
        citation = event.citation
        changes: dict[str, Any] = {}
        if citation.cites is not None:
            changes["cites"] = self._places.get((event.choice, citation.cites), citation.cites)
        text = None if citation.cites is None else self._texts.get((event.choice, citation.cites))
        if event.choice in self._split or (text is not None and text.scanner.tagged):
            changes |= {"start": None, "end": None}
        return citation.model_copy(update=changes)

    def _new_place(self, choice: int) -> int:
        place = self._next.get(choice, 0)
        self._next[choice] = place + 1
        self._count += 1
        return place
