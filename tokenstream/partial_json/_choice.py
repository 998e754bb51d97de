"""Which document is read where a text holds several."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from tokenstream.errors import MisuseError

__all__ = ["DocumentChoice", "check_choice"]

DocumentChoice: TypeAlias = Literal["first", "last", "matching"]
"""Which of several documents is read: the first, the last, or the one that the type takes."""

_ANY = ("first", "last")
_TYPED = (*_ANY, "matching")


def check_choice(document: object, *, lenient: object, typed: bool = False) -> None:
    """Refuse a choice of documents that cannot be made.

    Args:
        document: The choice; None for none.
        lenient: What is asked for beside it: only the lenient reading finds several documents.
        typed: Whether the whole document has a type, which "matching" asks.

    Raises:
        MisuseError: It is no such word, or there is no lenient reading, or no type.
    """
    if document is None:
        return
    known: Any = _TYPED if typed else _ANY
    if document == "matching" and not typed:
        raise MisuseError(
            'document="matching" needs the type of the whole document: partials(), result() and '
            'validate_output() have it; say "first" or "last" here'
        )
    if document not in known:
        words = ", ".join(repr(word) for word in known)
        raise MisuseError(f"document= takes {words} or None, not {document!r}")
    if not lenient:
        raise MisuseError(f"document={document!r} needs lenient=True: a JSON text is one document")
