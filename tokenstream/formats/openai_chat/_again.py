"""Recognise a decoded payload that differs from the last plain one in its text alone."""

from __future__ import annotations

from typing import Any

__all__ = ["LastPlain"]


class LastPlain:
    """The last payload that said nothing but one piece of text.

    Args:
        payload: It, decoded; it is copied.
        key: The field of the delta that holds the text.
        changing: Fields of it that may have another value and still say the same.

    Example:
        >>> payload = {"n": 1, "choices": [{"index": 0, "delta": {"content": "Hel"}}]}
        >>> last = LastPlain(payload, "content", ("n",))
        >>> last.text_of({"n": 2, "choices": [{"index": 0, "delta": {"content": "lo"}}]})
        'lo'
    """

    __slots__ = ("_changing", "_delta", "_key", "_payload")

    def __init__(self, payload: dict[str, Any], key: str, changing: tuple[str, ...]) -> None:
        [choice] = payload["choices"]
        self._delta = {**choice["delta"]}
        self._payload = {**payload, "choices": [{**choice, "delta": self._delta}]}
        self._key = key
        self._changing = changing

    def text_of(self, payload: dict[str, Any]) -> str | None:
        """Return the text of a payload that says nothing else new; None for any other payload."""
        last = self._payload
        try:
            choice = payload["choices"][0]
            text = choice["delta"][self._key]
            for key in self._changing:
                last[key] = payload[key]
        except (LookupError, TypeError):
            return None
        # To a comparison false and 0.0 are 0; as an index they are none.
        if not isinstance(text, str) or choice.get("index", 0).__class__ is not int:
            return None
        self._delta[self._key] = text
        return text if payload == last and text else None
