"""A text up to a marker, even if the marker arrives in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.stages._matching.matching import LONGEST_SEARCH, Matcher
from tokenstream.stages._text.base import TextStage

if TYPE_CHECKING:
    import regex

    from tokenstream.stages._matching.compiled import AnyMatch
    from tokenstream.stages._matching.starts import Starts


@show_members
class Until(TextStage):
    r"""Returns a text up to the first match of a marker, and nothing after it.

    Text is held back only while it may still become the marker. Once the marker has arrived,
    `stop` is "until" and `feed` returns nothing any more; the stream itself goes on.

    Args:
        marker: The text that ends the result, taken literally, or a regular expression compiled by `re`
            or `regex`; any marker except plain text needs the package regex (`llm-tokenstream[shape]`).
        include: True if the marker is returned, too. It is returned whole, so the stage waits for
            the end of a marker that may still grow, such as `\n+`.
        max_length: The most characters that are held back; required if a compiled marker does
            not limit the length of its matches. A longer match ends the text only if its first
            `max_length` characters match, too.

    Raises:
        MisuseError: The marker cannot be used: it is empty or a function, its matches have no maximum
            length and `max_length` is missing, or the package regex is not installed.

    Example:
        >>> answer = Until("\nUser:")
        >>> answer.feed("Hello!\nUs"), answer.stop, answer.feed("er: And"), answer.stop, answer.feed("?")
        (['Hello!'], None, [], 'until', [])
    """

    __slots__ = ("_has_ended", "_include", "_matcher", "_pending_at", "_starts", "_text")

    def __init__(
        self,
        marker: str | re.Pattern[str] | regex.Pattern[str],
        *,
        include: bool = False,
        max_length: int | None = None,
    ) -> None:
        if callable(marker):
            raise MisuseError(
                "Until takes a text or a compiled pattern, not a function: one that were given all text so "
                "far would cost more with every piece; stop the stream with a rule of your own instead"
            )
        if marker == "":
            raise MisuseError("Until takes a marker that has text: an empty one ends every text at once")
        pattern: Any = re.compile(re.escape(marker)) if isinstance(marker, str) else marker
        self._matcher = Matcher("Until", pattern, max_length)
        self._include = include
        self._text = ""
        """The held-back text, with as many characters before it as the pattern may look back at."""
        self._pending_at = 0
        """Offset of the held-back text in `_text`."""
        self._starts: Starts | None = None
        """The automaton's reading of the held-back text, if that is long; None if it is searched instead."""
        self._has_ended = False

    @property
    def stop(self) -> str | None:
        """The reason why no more text is needed: "until" once the marker has arrived, None before that."""
        return "until" if self._has_ended else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that is certain to be before the marker.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        for new_text in self._matcher.split(item):
            if not self._has_ended:
                self._take_slice(new_text, out)
        text = "".join(out)
        return [text] if text else []

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text, up to a marker in it.

        Args:
            now: Unused; every stage has this parameter.
        """
        if self._has_ended:
            return []
        out: list[str] = []
        text, position = self._text, self._pending_at
        if self._starts is None:
            match = self._matcher.find(text, position)
            if match is not None:
                self._finish(text, position, match, out)
        else:
            self._starts.end()
            position = self._emit_known(self._starts, text, position, out)
        if self.stop is None:
            out.append(text[position:])
        self._text, self._pending_at, self._starts = "", 0, None
        last_text = "".join(out)
        return [last_text] if last_text else []

    def _take_slice(self, new_text: str, out: list[str]) -> None:
        """Take a slice of text: emit the text before a possible marker, or finish at the marker."""
        text, position = self._text + new_text, self._pending_at
        # If text is held back, the last search found that a match may begin at its start.
        position = self._emit_certain(text, position, out, was_open=position < len(self._text))
        if self._has_ended:
            return
        keep_from = max(0, position - self._matcher.context)
        self._text, self._pending_at = text[keep_from:], position - keep_from
        if self._starts is not None:
            self._starts.drop_start(keep_from)

    def _emit_certain(self, text: str, position: int, out: list[str], *, was_open: bool) -> int:
        """Emit the text before a possible marker, and return the marker's start; or finish at the marker.

        Each round of the loop has one of two ways to read:

        1. An automaton reads on, if the held-back text is long.
        2. A search finds the first position at which a marker may still begin or change; the text before it
           is emitted. If more than `max_length` characters follow it, that marker is decided as it is.

        Args:
            text: The text so far.
            position: The start of the text to emit.
            out: Receives the text.
            was_open: True if a match may have begun at `position` before the last slice came.
        """
        matcher, limit = self._matcher, self._matcher.limit
        # Long text is read by an automaton, each character once; short text is searched, which is faster.
        is_long = len(text) - position > LONGEST_SEARCH
        while not self._has_ended:
            if self._starts is not None or (is_long and self._begin_following(text, position)):
                position = self._follow(text, position, out)
                if self._is_following:
                    # All text is read, and the automaton holds some of it back.
                    break
                # The automaton holds nothing back any more; text that it has not read may follow.
                is_long, was_open = len(text) - position > LONGEST_SEARCH, False
                continue
            # Text is held back only from a position at which a match may still begin or change.
            open_at = matcher.find_open_position(text, position, was_open=was_open)
            match = self._find_certain(text, position, open_at)
            # If there is a marker, it begins here.
            marker_at = open_at if match is None else match.start()
            out.append(text[position:marker_at])
            position = marker_at
            if match is None:
                if self._begin_following(text, position):
                    # Much text is held back, so the automaton reads on from here.
                    continue
                if limit is None or len(text) - position <= limit:
                    # The text from here on is held back.
                    break
            if match is None or (limit is not None and match.end() - match.start() > limit):
                # No more text may be held back: the first `max_length` characters decide, as if the text had
                # arrived in small pieces.
                match = matcher.match_at(text, position)
            if match is not None:
                self._finish(text, position, match, out)
                break
            # No marker begins here.
            out.append(text[position])
            position, was_open = position + 1, True
        return position

    def _find_certain(self, text: str, position: int, open_at: int) -> AnyMatch | None:
        """Return the first match if it is certain to be the marker; otherwise None.

        Args:
            text: The text so far.
            position: The position at which to begin the search.
            open_at: The first position at which a match may still begin or change.
        """
        if position == open_at and not self._is_sure(open_at, open_at):
            return None
        match = self._matcher.find(text, position)
        return match if match is not None and self._is_sure(match.start(), open_at) else None

    @property
    def _is_following(self) -> bool:
        """True while an automaton reads the held-back text, because it is long: each character only once."""
        return self._starts is not None

    def _begin_following(self, text: str, position: int) -> bool:
        """Let an automaton read the held-back text from now on, if it is long; return True if so."""
        self._starts = self._matcher.follow_long(text, position)
        return self._starts is not None

    def _follow(self, text: str, position: int, out: list[str]) -> int:
        """Let the automaton read on; emit the text before a possible marker.

        The result is the start of the text that is still held back. If none of the text that was read is
        held back, the automaton is dropped (`_starts` is None).
        """
        limit = self._matcher.limit
        while (starts := self._starts) is not None and starts.now < len(text):
            # Up to the position at which the first match that is still open becomes too long.
            starts.read(text, len(text) if limit is None else min(len(text), position + limit + 1))
            position = self._emit_known(starts, text, position, out)
            starts.forget_before(position)
        return position

    def _emit_known(self, starts: Starts, text: str, position: int, out: list[str]) -> int:
        """Emit the text that the automaton has read, up to a possible marker; finish if it is the marker.

        The result is the start of the possible marker.
        """
        matcher = self._matcher
        limit = matcher.limit
        while (start := starts.first(position)) is not None:
            is_open = starts.is_open(start)
            # No more text may be held back: it is the marker now, or it is not.
            is_cut = is_open and limit is not None and starts.now - start > limit
            is_final = not is_open or (self._is_sure(start, start) and starts.has_match(start))
            if not (is_final or is_cut):
                out.append(text[position:start])
                return start
            if starts.has_match(start, cut=is_cut):
                # The engine (`re`) finds where the match ends.
                match = matcher.match_at(text, start, None if is_cut else starts.now)
                if match is not None:
                    self._finish(text, position, match, out)
                    return start
            out.append(text[position : start + 1])
            position = start + 1
        out.append(text[position : starts.now])
        self._starts = None
        return max(position, starts.now)

    def _is_sure(self, start: int, open_at: int) -> bool:
        """Return True if a match is certain to be the marker, and is complete if it has to be returned.

        Args:
            start: The start of the match.
            open_at: The first position at which a match may still begin or change.
        """
        # `sure_at_end`: no later text can undo a match of this pattern, at most lengthen it. With `_include`,
        # the marker is returned, so its end must be certain, too.
        return start < open_at or (start == open_at and self._matcher.sure_at_end and not self._include)

    def _finish(self, text: str, position: int, match: AnyMatch, out: list[str]) -> None:
        """Append the last text, from `position` to the marker, to `out`, and drop the rest."""
        out.append(text[position : match.end() if self._include else match.start()])
        self._has_ended = True
        self._text, self._starts = "", None
