"""Typed drafts of a text."""

from __future__ import annotations

from typing import Any

from tokenstream.partial_json._typed.draft import Draft


def draft_of(type_: Any, text: str) -> Draft[Any]:
    draft: Draft[Any] = Draft(type_)
    draft.feed(text)
    return draft


def partial_of(type_: Any, text: str) -> Any:
    return draft_of(type_, text).partial()
