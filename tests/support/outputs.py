"""Typed outputs of whole answers, as a program asks for them."""

from __future__ import annotations

from typing import Any

from tokenstream import Stream


def output_of(type_: Any, text: str, **options: Any) -> Any:
    """Return the object that an answer of this text validates as."""
    with Stream([text], format="pieces") as stream:
        return stream.result(type_, **options)
