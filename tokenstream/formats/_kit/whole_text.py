"""Texts that a server repeats, whole at the end or growing in each chunk, compared with what arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._values.event_base import PartEvent
from tokenstream.errors import ProtocolError
from tokenstream.events import (
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import RuleNote
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenPart

NewTexts: TypeAlias = list[tuple[str, str]]
"""Texts that are new, each after the key of what it belongs to."""
WholeTextKind: TypeAlias = Literal["text", "reasoning", "refusal", "transcript", "arguments"]
_FIELDS: dict[str, tuple[type[Any], str]] = {
    "text": (TextDelta, "text"),
    "reasoning": (ReasoningDelta, "text"),
    "refusal": (RefusalDelta, "text"),
    "transcript": (MediaDelta, "transcript"),
    "arguments": (PartDelta, "fragment"),
}
"""Maps each kind of text to the class of the deltas that add to it, and to their field with the text."""
_ATTRIBUTES = {"transcript": "transcript", "arguments": "arguments_text"}
"""Maps kinds of text to the attribute of their part that has it, unless that is `text`."""
_OFTEN_REWRITTEN = frozenset({"reasoning", "transcript", "arguments"})
"""Kinds of text that a provider may shorten, sum up or spell in another way when it repeats them."""


@dataclass(slots=True)
class WholeText(PartEvent):
    """The whole text of a part, as the server repeats it after the pieces; the application never sees it.

    A format adds a `WholeText` to its events, and so need not keep the text itself. Before the events are
    returned, `settle` compares the text with the message, and replaces the `WholeText` by a delta with what
    the message lacks at its end, if anything.
    """

    text: str
    length: int
    """Number of characters that the format has reported; used if there is no message to compare with."""
    kind: WholeTextKind = "text"
    ended: bool = False
    """True if the end of the part was reported; it is reported again after text that was missing."""
    rewritten: bool = False
    """True if the provider changes the text by design when it repeats it: no difference is then an error."""
    start: Any = None
    """The part without its text, if the input begins inside the answer; None if it begins with it."""
    open: OpenPart | None = None
    """The state of the part, for deltas after its whole text; None if the text may go on."""

    def find_in(self, content: Any) -> str:  # noqa: ANN401 - any part, or None
        """Return the text of a part of the message, "" if it has none of this kind."""
        return getattr(content, _ATTRIBUTES.get(self.kind, "text"), "")


TextFinder: TypeAlias = Callable[[WholeText], str]
"""Returns the text, as far as it has arrived, of the part whose whole text a `WholeText` repeats."""


def added_by(events: Iterable[Any], whole: WholeText) -> str:
    """Return the text that events add to the part that `whole` is about."""
    kind, field = _FIELDS[whole.kind]
    place = (kind, whole.choice, whole.part)
    deltas = [event for event in events if (event.__class__, event.choice, event.part) == place]
    return "".join([getattr(delta, field) for delta in deltas])


def settle(
    events: Sequence[Event], find_text: TextFinder | None, note: RuleNote
) -> tuple[list[Event], ProtocolError | None]:
    """Replace each `WholeText`, a whole text that the server repeats, by a delta with what is missing.

    Return the events, and the error or None. A whole text that differs from what arrived is an error, and the
    events after it are left out. White space at the ends of a text makes no difference; it is only counted.

    Example:
        >>> settle([WholeText("Hello", 3)], lambda whole: "Hel", print)
        text_completed
        ([TextDelta(choice=0, part=0, text='lo')], None)
        >>> print(str(settle([WholeText("Hello", 3)], lambda whole: "Help", print)[1]).partition(":")[0])
        the whole text of part 0 differs from its deltas
    """
    settled: list[Event] = []
    by_place: dict[Any, list[Event]] = {}  # so that many whole texts in one payload take linear time
    event: Any
    for event in events:
        if event.__class__ is not WholeText:
            settled.append(event)
            by_place.setdefault((event.__class__, event.choice, event.part), []).append(event)
            continue
        before = by_place.setdefault((_FIELDS[event.kind][0], event.choice, event.part), [])
        missing: Any = _settle_one(event, before, find_text, note)
        if isinstance(missing, ProtocolError):
            return settled, missing
        if isinstance(missing, str):
            # Without a message, it may be unknown how much has arrived.
            if event.open is not None and (missing or find_text is not None):
                event.open.tell(event.text, len(event.text) - len(missing))
            if missing:
                note("text_completed")
                missing = _delta_of(event, missing)
                before.append(missing)
        if missing:
            settled.append(missing)
            if event.ended:
                settled.append(PartDone(None, choice=event.choice, part=event.part, raw=event.raw))
    return settled, None


def _settle_one(
    whole: WholeText, before: list[Event], find_text: TextFinder | None, note: RuleNote
) -> str | ProtocolError | PartStart:
    """Return what has not arrived of the text in `whole` ("" if nothing), or the error if the texts differ.

    If the input begins inside the text, return the start of the part, with the beginning of the text.
    """
    if find_text is None:
        # Without a message to compare with, all after the length that has arrived is missing.
        return whole.text[whole.length :]
    arrived = find_text(whole) + added_by(before, whole)
    missing = _find_missing(whole.text, arrived)
    if whole.rewritten:
        return missing or ""
    if missing is None and whole.start is not None and arrived and whole.text.endswith(arrived):
        beginning = whole.start.model_copy(update={"text": whole.text.removesuffix(arrived)})
        return PartStart(beginning, choice=whole.choice, part=whole.part, raw=whole.raw)
    if missing is None and whole.kind not in _OFTEN_REWRITTEN:
        return ProtocolError(
            f"the whole text of part {whole.part} differs from its deltas: {len(arrived)} characters "
            f"arrived, the server then repeats {len(whole.text)}, and the first difference is at character "
            f"{_count_common(whole.text, arrived)}; what had arrived is in .partial"
        )
    if not missing and whole.text != arrived:
        note("text_rewritten")
    return missing or ""


def _find_missing(whole: str, arrived: str) -> str | None:
    r"""Return the end of a whole text that has not arrived; None if the texts differ."""
    # White space at the ends makes no difference: some servers strip the text that they repeat.
    if whole.strip() == arrived.strip():
        return ""
    if whole.startswith(arrived):
        return whole[len(arrived) :]
    whole, arrived = whole.lstrip(), arrived.lstrip()
    return whole[len(arrived) :] if whole.startswith(arrived) else None


def _delta_of(whole: WholeText, missing: str) -> Event:
    kind, field = _FIELDS[whole.kind]
    delta: Event = kind(**{field: missing}, choice=whole.choice, part=whole.part, raw=whole.raw)
    return delta


def _count_common(one: str, other: str) -> int:
    """Return the number of characters with which both texts begin."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


class GrowingTexts:
    """Finds what is new in texts that a server sends again and again, either growing or in pieces.

    The first text is new in both cases. If a later text does not begin with the text so far, the server
    sends pieces. If it does, it may still be a piece: `1` and then `10` may be "10" or "110". Such a text is
    held back until the next text decides. The decision is made once, for all texts of the answer.

    Args:
        report_change: Called with the key and the text if a text that grows was changed.
        grows: True if each text is known to contain the ones before it; False if each text is known
            to be a piece; None to find out.

    Example:
        >>> texts = GrowingTexts(print, print)
        >>> texts.read("content", "1"), texts.read("content", "10"), texts.read("content", "102")
        ([('content', '1')], [], [('content', '02')])
        >>> texts = GrowingTexts(print, print)
        >>> texts.read("content", "1"), texts.read("content", "10"), texts.read("content", "0")
        ([('content', '1')], [], [('content', '10'), ('content', '0')])
    """

    __slots__ = ("_given", "_has_grown", "_held", "_latest", "_report_change", "grows", "note")

    def __init__(
        self, note: RuleNote, report_change: Callable[[str, str], None], *, grows: bool | None = None
    ) -> None:
        self.grows = grows
        """True if each text contains the ones before it, False if each is a piece, None if not yet known."""
        self.note = note
        self._report_change = report_change
        self._has_grown = False
        """True once a text has begun with the one before it and was longer, or once `grows` is True."""
        self._latest: dict[str, str] = {}
        """The longest text so far under each key; empty once the texts are known to be pieces."""
        self._given: dict[str, int] = {}
        """Number of characters under each key that were reported before a later text was held back."""
        self._held: dict[str, list[str]] = {}
        """The texts held back under each key, as they arrived."""

    def has(self, key: str) -> bool:
        """Return True if a text with this key has arrived, unless texts are pieces, which keep no keys."""
        return key in self._latest

    def continues(self, key: str, text: str) -> bool:
        """Return True if a text begins with the last text under the same key, or if there is none."""
        return text.startswith(self._latest.get(key, ""))

    def judge(self, texts: Mapping[str, str], *, begins_other: bool) -> NewTexts:
        """Compare a message with the texts held back, to decide if texts grow; return those now known as new.

        Called before the texts of the message are read. If the message has a held-back text's field empty, or
        lacks the text but begins other content, it does not contain all so far, so texts are pieces. If it
        repeats a held-back text beside other content that begins, it contains all so far, so texts grow.
        """
        begins_text = any(text and key not in self._latest for key, text in texts.items())
        begins_content = begins_other or begins_text
        for key in self._held:
            text = texts.get(key, "")
            was_sent_empty = key in texts and not text
            lacks_text = was_sent_empty or (not text and begins_content)
            if lacks_text:
                return self.settle(grows=False)
            if text == self._latest[key] and begins_content:
                return self.settle(grows=True)
        return []

    def read(self, key: str, text: str) -> NewTexts:
        """Read a text, and return what it adds to the answer: pairs of a key and new text.

        The list also contains texts that were held back until now; it is empty while `text` is held back.
        """
        if self.grows is False:
            return [(key, text)]
        earlier = self._latest.get(key)
        if not text:
            return [(key, text)]
        if not earlier:
            # The first text under its key is new in any case.
            self._latest[key], self._given[key] = text, len(text)
            return [(key, text)]
        if self.grows:
            return self._read_grown(key, text, earlier)
        if not text.startswith(earlier):
            return [*self.settle(grows=False), (key, text)]
        # The text may have grown, or be a piece that happens to begin with the same characters.
        self._held.setdefault(key, []).append(text)
        if text == earlier:
            # A repetition adds nothing to a text that grows, and so decides nothing.
            return []
        self._latest[key] = text
        if self._has_grown:
            # A text seems to have grown for the second time: chance would hardly make two pieces begin so.
            return self.settle(grows=True)
        self._has_grown = True
        return []

    def settle(self, *, grows: bool) -> NewTexts:
        """Record for good if texts grow (each contains the one before) or not; return those now new."""
        self.grows = self._has_grown = grows
        if grows:
            owed = [(key, self._latest[key][self._given[key] :]) for key in self._held]
        else:
            owed = [(key, "".join(pieces)) for key, pieces in self._held.items()]
            self._latest.clear()
        self._held.clear()
        return owed

    def settle_at_end(self) -> NewTexts:
        """Return the keys and texts that are still held back at the end of the answer.

        Nothing has shown whether they grow or are pieces. It is assumed that they grow, which counts as a
        departure: all known servers that send whole messages do so unless the request says otherwise.
        """
        if not self._held:
            return []
        self.note("text_ambiguous")
        return self.settle(grows=True)

    def _read_grown(self, key: str, text: str, earlier: str) -> NewTexts:
        """Return what a growing text adds to its earlier form; text that was reported is never taken back."""
        if text.startswith(earlier):
            self._latest[key] = text
            self._has_grown = self._has_grown or text != earlier
            return [(key, text[len(earlier) :])]
        is_shorter_form = earlier.startswith(text)
        if not self._has_grown and not is_shorter_form:
            # The server was asked for texts that grow, but none has grown so far, so it sends pieces.
            return [*self.settle(grows=False), (key, text)]
        self.note("text_rewritten")
        if not is_shorter_form:
            self._report_change(key, text)
        return []
