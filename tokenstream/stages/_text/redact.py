"""A text without what it should not show, though that may come in pieces."""

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
    r"""Replaces every match of a pattern, wherever the text is cut into pieces.

    The pieces joined are what `re.sub` makes of the whole text. Text is held back only
    while it may still become part of a match, or decides about one: of `sk-\w+` the
    last letters, of `\d{4}\b` the character behind it. `^` and `$` are the start and
    the end of the whole text.

    A match longer than `max_length` is replaced when as many characters of it have come, where
    these match by themselves, as those of `sk-\w+` do; what goes on matching behind them
    is left out as it comes. Where they do not, as those of `<key>.*</key>` do not, they are no match.
    The beginning of a match that the end of the text cuts short is no match either, and is given.

    At each place where a match may begin all ways to match are tried, so that a pattern which is
    slow where it fails is slow here. No more than `max_length` characters, or as many as the pattern
    bounds, are looked at from any place, however long the text is.

    Args:
        pattern: A regular expression as `re` writes it, or one that `re` or `regex` has
            compiled. All but plain text needs the package regex (`llm-tokenstream[shape]`).
        with_: What stands in the place of a match, as it is, or a function that returns it for
            the match, whose positions are not those in the text.
        max_length: The most characters that are held back; to be given where the pattern does not
            bound its matches.

    Raises:
        MisuseError: The pattern cannot be used: it is unbounded and `max_length` is missing, it
            matches the empty text, or regex is not installed.

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
        """What is held back, behind as much of what was given as a match may look at."""
        self._at = 0
        """Where in it that begins which is held back."""
        self._run = False
        """What is held back goes on with a match that was replaced already."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that no match can change any more, its matches replaced.

        Args:
            item: The next piece of the text.
            now: Unused; every stage takes it.
        """
        out: list[str] = []
        for piece in self._matcher.slices(item):
            self._take(piece, out)
        return _joined(out)

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return what was held back, its matches replaced.

        Args:
            now: Unused; every stage takes it.
        """
        out: list[str] = []
        text, at = self._text, self._at
        if self._run:
            at = self._run_end(text, at)
        while (found := self._matcher.find(text, at)) is not None:
            out.append(text[at : found.start()])
            at = self._replace(text, found, out)
        out.append(text[at:])
        self._text, self._at, self._run = "", 0, False
        return _joined(out)

    def _take(self, item: str, out: list[str]) -> None:
        matcher, before = self._matcher, len(self._text)
        text = self._text + item
        at = self._at
        if self._run:
            at = self._go_on(text, at, before)
        limit, held = matcher.limit, at < before
        while not self._run:
            opens = matcher.opens(text, at, held=held)
            at = self._settle(text, at, opens, out)
            if at > opens:
                continue
            if limit is None or len(text) - at <= limit:
                break
            at, held = self._give_up(text, at, out), True
        if self._run and limit is not None and len(text) - at > 4 * limit:
            # The middle of a match that goes on and on tells nothing of how it ends.
            text = text[: at + limit] + text[-2 * limit :]
        kept = max(0, at - matcher.context)
        self._text, self._at = text[kept:], at - kept

    def _settle(self, text: str, at: int, opens: int, out: list[str]) -> int:
        """Give what is sure of a text, and return where the rest begins: where it is open, or further on."""
        while at <= opens:
            found = self._matcher.find(text, at)
            if found is None or found.start() >= opens:
                out.append(text[at:opens])
                return opens
            out.append(text[at : found.start()])
            at = self._replace(text, found, out)
        return at

    def _replace(self, text: str, found: Any, out: list[str]) -> int:  # noqa: ANN401 - a match
        """Give what stands for a match, and return where it ends."""
        start: int = found.start()
        limit = self._matcher.limit
        end: int = found.end()
        if limit is not None and end - start > limit:
            # The same as if it had come in small pieces.
            first = self._matcher.begun(text, start)
            if first is None:
                out.append(text[start])
                return start + 1
            if first.end() < start + limit:
                end = first.end()
            found = first
        self._show(found, out)
        return end

    def _give_up(self, text: str, at: int, out: list[str]) -> int:
        """Hold a match back no longer that outgrows the bound, and return where the rest begins."""
        matcher = self._matcher
        found = matcher.begun(text, at)
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
        with_ = self._with
        out.append(with_ if isinstance(with_, str) else with_(found))

    def _go_on(self, text: str, at: int, past: int) -> int:
        """Go on with a match that was replaced, and return where the text behind it begins.

        While it goes on, that is where it began.

        Args:
            text: What has come.
            at: Where it began.
            past: How far it has come for certain.
        """
        matcher, limit = self._matcher, self._matcher.limit or 0
        found = matcher.begun(text, at, whole=True)
        end = past if found is None else found.end()
        if not matcher.goes_on(text, at) or len(text) - end > limit:
            self._run = False
            return end
        return at

    def _run_end(self, text: str, at: int) -> int:
        found = self._matcher.begun(text, at, whole=True)
        end: int = len(text) if found is None else found.end()
        return end


def _joined(out: list[str]) -> list[str]:
    text = "".join(out)
    return [text] if text else []
