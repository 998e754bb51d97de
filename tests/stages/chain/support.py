"""Stages that hold, repeat and delay."""

from __future__ import annotations


class Words:
    """Holds letters until a blank, and the last word until the end; an exclamation mark is an error."""

    def __init__(self, refused: str = "", *, ends_badly: bool = False) -> None:
        self.error: Exception | None = None
        self.stop: str | None = None
        self.fed: list[str] = []
        self.ends = 0
        self._held = ""
        self._refused = refused
        self._ends_badly = ends_badly

    def feed(self, item: str, *, now: float = 0.0) -> list[str]:
        if self.error is not None:
            return []
        self.fed.append(item)
        out = []
        for letter in item:
            if letter == self._refused:
                self.error = ValueError(f"{letter} after {len(self.fed)} items")
                break
            self._held += letter
            if letter == " ":
                out.append(self._held)
                self._held = ""
        return out

    def end(self, *, now: float = 0.0) -> list[str]:
        self.ends += 1
        if self._ends_badly and self.error is None:
            self.error = EOFError("the last word")
        out, self._held = [self._held] if self._held else [], ""
        return out

    def check(self) -> None:
        if self.error is not None:
            raise self.error
