"""A text with all matches of a pattern replaced, even those that arrive in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._matching.matching import Matcher
from tokenstream.stages._text.base import TextStage

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    import regex


class Redact(TextStage):
    r"""Replaces every match of a pattern, however the text is cut into pieces.

    The pieces joined are the result of `re.sub` on the whole text. Text is held back only
    while it may still become part of a match, or decide about a match: for `sk-\w+`, the
    last letters; for `\d{4}\b`, the character after the digits. `^` and `$` are the start
    and the end of the whole text.

    A match longer than `max_length` is handled in one of two ways:

    1. If its first `max_length` characters match by themselves, as with `sk-\w+`, they are
       replaced at once, and the rest of the match is dropped as it arrives.
    2. If they do not match, as with `<key>.*</key>`, the text counts as no match.

    If the text ends in the middle of a match, the part before the end is no match, and is returned.

    At each place where a match may begin, all ways to match are tried, so a pattern that
    fails slowly makes this stage slow. From any place, at most `max_length` characters (or
    the pattern's own maximum) are examined, however long the text is.

    Args:
        pattern: A regular expression in the syntax of `re`, or one compiled by `re` or
            `regex`. Any pattern except plain text needs the package regex (`llm-tokenstream[shape]`).
        with_: The replacement of a match, taken literally; or a function that returns it for
            the match object, whose positions are not positions in the whole text.
        max_length: The most characters that are held back; required if the pattern does not
            limit the length of its matches.

    Raises:
        MisuseError: The pattern cannot be used: its matches have no maximum length and `max_length`
            is missing, it matches the empty text, or the package regex is not installed.

    Example:
        >>> secrets = Redact(r"sk-\w{8}")
        >>> secrets.feed("The key is sk-12"), secrets.feed("345678."), secrets.end()
        (['The key is '], ['[redacted].'], [])
    """

    __slots__ = ("_at", "_matcher", "_run", "_text", "_with")

    def __init__(
        self,
        pattern: str | re.Pattern[str] | regex.Pattern[str],
        with_: str | Callable[[Any], str] = "[redacted]",
        max_length: int | None = None,
    ) -> None:
        if not isinstance(with_, str) and not callable(with_):
            raise MisuseError(f"with_= is a str, or a function of the match, and not {with_!r}")
        self._matcher = Matcher("Redact", pattern, max_length)
        self._with = with_
        self._text = ""
        """The held-back text, with as many characters before it as the pattern may look back at."""
        self._at = 0
        """Offset of the held-back text in `_text`."""
        self._run = False
        """True if the held-back text continues a match that was already replaced."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that no later match can change, with its matches replaced.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        for piece in self._matcher.split(item):
            self._take(piece, out)
        return _join(out)

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text with its matches replaced.

        Args:
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        text, at = self._text, self._at
        if self._run:
            at = self._find_run_end(text, at)
        while (found := self._matcher.find(text, at)) is not None:
            out.append(text[at : found.start()])
            at = self._replace(text, found, out)
        out.append(text[at:])
        self._text, self._at, self._run = "", 0, False
        return _join(out)

    def _take(self, item: str, out: list[str]) -> None:
        """Take a slice of text, and emit the text that later text cannot change."""
        matcher, before = self._matcher, len(self._text)
        text = self._text + item
        at = self._at
        if self._run:
            at = self._go_on(text, at, before)
        limit, held = matcher.limit, at < before
        while not self._run:
            opens = matcher.find_open(text, at, held=held)
            at = self._settle(text, at, opens, out)
            if at > opens:
                continue
            if limit is None or len(text) - at <= limit:
                break
            at, held = self._give_up(text, at, out), True
        if self._run and limit is not None and len(text) - at > 4 * limit:
            # The middle of an overlong match does not affect its end, and need not be kept.
            text = text[: at + limit] + text[-2 * limit :]
        kept = max(0, at - matcher.context)
        self._text, self._at = text[kept:], at - kept

    def _settle(self, text: str, at: int, opens: int, out: list[str]) -> int:
        """Emit the text before the open place, with its matches replaced; return the start of the rest.

        Args:
            text: The text so far.
            at: The start of the text to emit.
            opens: The open place: the first place where a match may still begin or change.
            out: Receives the text.
        """
        while at <= opens:
            found = self._matcher.find(text, at)
            if found is None or found.start() >= opens:
                out.append(text[at:opens])
                return opens
            out.append(text[at : found.start()])
            at = self._replace(text, found, out)
        return at

    def _replace(self, text: str, found: Any, out: list[str]) -> int:  # noqa: ANN401 - a match
        """Emit the replacement of a match, and return the end of the match."""
        start: int = found.start()
        limit = self._matcher.limit
        end: int = found.end()
        if limit is not None and end - start > limit:
            # Cut the match as if the text had arrived in small pieces.
            first = self._matcher.match_at(text, start)
            if first is None:
                out.append(text[start])
                return start + 1
            if first.end() < start + limit:
                end = first.end()
            found = first
        self._show(found, out)
        return end

    def _give_up(self, text: str, at: int, out: list[str]) -> int:
        """Stop holding back a match that exceeds the maximum; return the start of the rest."""
        matcher = self._matcher
        found = matcher.match_at(text, at)
        if found is None:
            out.append(text[at])
            return at + 1
        self._show(found, out)
        if found.end() < at + (matcher.limit or 0):
            end: int = found.end()
            return end
        self._run = True
        return self._go_on(text, at, found.end())

    def _show(self, found: Any, out: list[str]) -> None:  # noqa: ANN401 - a match
        """Emit the replacement of a match."""
        with_ = self._with
        out.append(with_ if isinstance(with_, str) else with_(found))

    def _go_on(self, text: str, at: int, past: int) -> int:
        """Follow a match that was already replaced; return its end, or its start while it may go on.

        Args:
            text: The text so far.
            at: Start of the match.
            past: The least possible end of the match.
        """
        matcher, limit = self._matcher, self._matcher.limit or 0
        found = matcher.match_at(text, at, whole=True)
        end = past if found is None else found.end()
        if not matcher.may_change(text, at) or len(text) - end > limit:
            self._run = False
            return end
        return at

    def _find_run_end(self, text: str, at: int) -> int:
        """Return the end of the replaced match that continues at the end of the text."""
        found = self._matcher.match_at(text, at, whole=True)
        end: int = len(text) if found is None else found.end()
        return end


def _join(out: list[str]) -> list[str]:
    text = "".join(out)
    return [text] if text else []
