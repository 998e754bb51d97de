"""Views of a text, and methods that shape the text for an interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from tokenstream._basics.elsewhere import OF_TEXT, THROTTLE_HINTS, explain_missing, explain_options
from tokenstream.stream._views.shaped_view import (
    AsyncPlannedView,
    AsyncShapedView,
    PlannedView,
    ShapedView,
    ViewShaper,
)
from tokenstream.stream._views.text_plan import MakeStage, stage_maker

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    import regex

    from tokenstream.stages import MarkdownBlock
    from tokenstream.stream._views.view import AsyncView, View

_USUAL_HZ = 30.0
"""Default number of updates per second of `accumulate`."""


@explain_missing(OF_TEXT)
class _TextShaping(ViewShaper):
    """Methods that shape a text; each returns a new view from the start of the text.

    Chain the methods in this order:

    1. methods that change the text: `redact`, `until`
    2. methods that determine where pieces end: `words`, `graphemes`, `lines`, `sentences`
    3. methods that determine when pieces are delivered: `throttle`, `smooth`
    4. `accumulate` or `markdown_blocks`
    """

    __slots__ = ()

    _cursor: Any

    def words(self) -> Self:
        """Return a view of whole words, each with the space before it.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(["Hel", "lo wor", "ld"], format="pieces").text.words())
            ['Hello', ' world']
        """
        return self._with_stage("words", stage_maker("Words"))

    def graphemes(self) -> Self:
        """Return a view whose pieces never split a grapheme, such as an emoji or a letter with its accent.

        Raises:
            MisuseError: The extra `shape` is not installed.

        Example:
            >>> from tokenstream import Stream
            >>> [len(piece) for piece in Stream(["e", "\u0301a"], format="pieces").text.graphemes()]
            [2, 1]
        """
        return self._with_stage("graphemes", stage_maker("Graphemes"))

    def lines(self) -> Self:
        r"""Return a view of lines, each with its ending.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(["a\nb", "c\n", "d"], format="pieces").text.lines())
            ['a\n', 'bc\n', 'd']
        """
        return self._with_stage("lines", stage_maker("Lines"))

    def sentences(
        self,
        *,
        first: int | None = None,
        longest: int | None = None,
        spoken: bool = False,
        max_delay: float | None = None,
        timer: bool = False,
    ) -> Self:
        """Return a view of sentences, each delivered as soon as its end is certain, for example for speech.

        Args:
            first: Number of characters after which the first piece may end at a clause, so that speech
                starts early; None to end it only at a sentence.
            longest: Number of characters at which a sentence is cut, at a clause or a word if possible;
                None to cut no sentence.
            spoken: True to leave out the marks and the code of markdown, which are not read aloud.
            max_delay: Longest time to hold back whole words, in seconds, if a sentence takes longer; None to
                wait for its end.
            timer: In a `for` loop, True to let a thread read the source, so that words are delivered on
                time, as with `throttle`.

        Raises:
            MisuseError: A number is not above 0; or, in the loop, `async with` is missing on trio.

        Example:
            >>> from tokenstream import Stream
            >>> text = Stream(["It is 3.5 km", " away. Go", " now!"], format="pieces").text
            >>> list(text.sentences())
            ['It is 3.5 km away. ', 'Go now!']
        """
        kind, given = ("Sentences", ()) if max_delay is None else ("TimelySentences", (max_delay,))
        make = stage_maker(kind, *given, home="._text.sentences", first=first, longest=longest, spoken=spoken)
        return self._with_stage("sentences", make, timer=timer)

    @explain_options(**THROTTLE_HINTS)
    def throttle(self, hz: float, *, timer: bool = False) -> Self:
        """Return a view of at most `hz` pieces per second; text between two deliveries is joined.

        The first piece is delivered at once, and the last piece at the end of the text. In an
        `async for` loop, text that was held back is delivered on time, even if nothing more arrives.
        A `for` loop delivers held-back text with the next piece or at the end, unless `timer` is set.

        Args:
            hz: Maximum number of pieces per second.
            timer: In a `for` loop, True to let a thread read the source, so that held-back text is
                delivered on time. The thread ends when the stream is closed; if the source cannot be
                woken (an iterable that blocks), the thread ends with the source's next item.

        Raises:
            MisuseError: `hz` is not a number above 0; or, in the loop, `async with` is missing on trio.

        Example:
            >>> from tokenstream import Stream, testing
            >>> with testing.VirtualClock():
            ...     stream = Stream(["The", " sky", " is", " blue."], format="pieces")
            >>> list(stream.text.throttle(hz=20))
            ['The', ' sky is blue.']
        """
        return self._with_stage("throttle", stage_maker("Throttle", hz), timer=timer)

    def smooth(self, max_delay: float = 0.4, *, timer: bool = False) -> Self:
        """Return a view that delivers text at an even pace, which follows the pace of the arriving text.

        Words, lines and sentences of an earlier method stay whole, and graphemes always do. As with
        `throttle`, text is delivered on time in an `async for` loop, and in a `for` loop with `timer`; at
        the end of the text, these spread the rest over `max_delay`. A `for` loop without `timer` gets the
        first letter of a burst, and the rest with the next piece or at the end, because nothing wakes it.

        Args:
            max_delay: Longest time to hold back text, in seconds.
            timer: In a `for` loop, True to let a thread read the source, as with `throttle`.

        Raises:
            MisuseError: `max_delay` is not a number above 0; or, in the loop, `async with` is missing
                on trio.

        Example:
            >>> from tokenstream import Stream
            >>> burst = "The sky is blue because air scatters short waves more than long ones."
            >>> pieces = list(Stream([burst], format="pieces").text.smooth(max_delay=0.4))
            >>> pieces[0], "".join(pieces) == burst
            ('T', True)
        """
        return self._with_stage(
            "smooth", stage_maker("Smooth", max_delay, whole=self._plan.has_whole_pieces), timer=timer
        )

    def redact(
        self,
        pattern: str | re.Pattern[str] | regex.Pattern[str],
        with_: str | Callable[[Any], str] = "[redacted]",
        *,
        max_length: int | None = None,
    ) -> Self:
        r"""Return a view in which matches of a pattern are replaced, even if they span several pieces.

        Args:
            pattern: A regular expression, as text or compiled by `re` or `regex`.
            with_: The replacement, or a function that gets the match and returns the replacement.
            max_length: Maximum length of a match in characters; required if the pattern itself sets no
                limit. None for the limit of the pattern.

        Raises:
            MisuseError: The length of a match has no limit, or the pattern is invalid.

        Example:
            >>> from tokenstream import Stream
            >>> text = Stream(["Use sk-12", "34 twice."], format="pieces").text
            >>> "".join(text.redact(r"sk-\d{4}", with_="***"))
            'Use *** twice.'
        """
        return self._with_stage("redact", stage_maker("Redact", pattern, with_, max_length=max_length))

    def until(
        self,
        marker: str | re.Pattern[str] | regex.Pattern[str],
        *,
        include: bool = False,
        max_length: int | None = None,
    ) -> Self:
        """Return a view that ends at a marker; the stream and its other views go on.

        Args:
            marker: The marker's text, or a compiled pattern.
            include: True if the view includes the marker.
            max_length: Maximum length of a pattern's match in characters; required if the pattern itself
                sets no limit. None for the limit of the pattern.

        Raises:
            MisuseError: The length of a match has no limit, or the marker is empty.

        Example:
            >>> from tokenstream import Stream
            >>> with Stream(["The answer. EN", "D And more."], format="pieces") as stream:
            ...     list(stream.text.until("END"))
            ['The answer. ']
        """
        return self._with_stage("until", stage_maker("Until", marker, include=include, max_length=max_length))

    def _with_stage(self, method: str, make: MakeStage, *, timer: bool = False) -> Self:
        """Return a view of the same text with one more stage, on time in a `for` loop only with `timer`."""
        return self._with(self._plan.then(method, make, timer=timer))

    def _accumulated(self, hz: float | None) -> Self:
        """Return this view with the stage of the whole text so far, after a throttle of rate `hz`."""
        plan = self._plan
        # Before the throttle, which was not asked for.
        plan.check_order("accumulate")
        if hz is not None or not plan.has_pace:
            plan = plan.then("throttle", stage_maker("Throttle", _USUAL_HZ if hz is None else hz))
        return self._with(plan.then("accumulate", stage_maker("Accumulate", home="._text.pacing")))

    def _with_blocks(self, math: Literal["dollar", "brackets"] | None, *, tables: bool) -> Self:
        """Return this view, followed by the stage that divides the text into Markdown blocks."""
        return self._with_stage("markdown_blocks", stage_maker("MarkdownBlocks", math=math, tables=tables))


class TextView(_TextShaping, PlannedView[str]):
    """A view of a text as it arrives, read in a `for` loop or shaped first."""

    __slots__ = ()

    def accumulate(self, hz: float | None = None) -> View[str]:
        """Return a view of the whole text so far, for an interface that repaints the text.

        Args:
            hz: Maximum number of updates per second; None for the pace of an earlier `throttle` or
                `smooth`, or else 30.

        Raises:
            MisuseError: `hz` is not a number above 0.

        Example:
            >>> from tokenstream import Stream, testing
            >>> with testing.VirtualClock():
            ...     stream = Stream(["The", " sky", " is"], format="pieces")
            >>> list(stream.text.throttle(hz=20).accumulate())
            ['The', 'The sky is']
        """
        return self._accumulated(hz)

    def markdown_blocks(
        self, *, math: Literal["dollar", "brackets"] | None = None, tables: bool = True
    ) -> View[MarkdownBlock]:
        r"""Return a view of the blocks of a markdown text; an interface replaces only the last block.

        Args:
            math: The kind of delimiters of formulas; None to recognise no formulas.
            tables: True to recognise tables.

        Example:
            >>> from tokenstream import Stream
            >>> text = Stream(["# Sky\n\nIt is **bl", "ue**."], format="pieces").text
            >>> for block in text.markdown_blocks():
            ...     print(block.id, block.kind, block.text.rstrip(), block.closed)
            0 heading # Sky True
            1 paragraph It is **bl** False
            1 paragraph It is **blue**. False
            1 paragraph It is **blue**. True
        """
        return self._with_blocks(math, tables=tables)  # type: ignore[return-value] # of blocks

    def _shaped(self) -> Callable[..., Any]:
        return ShapedTextView


class ShapedTextView(ShapedView[str], TextView):
    """A view of a shaped text, read in a `for` loop or shaped further."""

    __slots__ = ()


class AsyncTextView(_TextShaping, AsyncPlannedView[str]):
    """A view of a text as it arrives, read in an `async for` loop or shaped first."""

    __slots__ = ()

    def accumulate(self, hz: float | None = None) -> AsyncView[str]:
        """Return a view of the whole text so far, for an interface that repaints the text.

        The argument and the error are those of `TextView.accumulate`.
        """
        return self._accumulated(hz)

    def markdown_blocks(
        self, *, math: Literal["dollar", "brackets"] | None = None, tables: bool = True
    ) -> AsyncView[MarkdownBlock]:
        """Return a view of the blocks of a markdown text; an interface replaces only the last block.

        The arguments are those of `TextView.markdown_blocks`.
        """
        return self._with_blocks(math, tables=tables)  # type: ignore[return-value] # of blocks

    def _shaped(self) -> Callable[..., Any]:
        return AsyncShapedTextView


class AsyncShapedTextView(AsyncShapedView[str], AsyncTextView):
    """A view of a shaped text, read in an `async for` loop or shaped further."""

    __slots__ = ()
