"""Typed drafts of a text."""

from __future__ import annotations

from typing import Any

from tokenstream.stages._objects.partials import Partials


def draft_of(type_: Any, text: str) -> Partials[Any]:
    draft: Partials[Any] = Partials(type_)
    draft.feed(text)
    return draft


def partial_of(type_: Any, text: str) -> Any:
    return draft_of(type_, text).partial()
