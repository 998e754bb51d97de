"""The option `document=`, which selects one document in a text that contains several."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from tokenstream.errors import MisuseError

DocumentChoice: TypeAlias = Literal["first", "last", "matching"]
"""The document to read: the first, the last, or the one that validates against the type."""

_CHOICES = ("first", "last")
_CHOICES_WITH_TYPE = (*_CHOICES, "matching")


def check_choice(document: object, *, lenient: object, typed: bool = False) -> None:
    """Raise an error if `document=` has an unknown value or contradicts the other options.

    Args:
        document: The choice, or None.
        lenient: The `lenient=` option; only lenient reading allows several documents.
        typed: True if the type of the whole document is known; the choice "matching" needs the type.

    Raises:
        MisuseError: The value is unknown, `lenient` is off, or "matching" is used without a type.
    """
    if document is None:
        return
    allowed: Any = _CHOICES_WITH_TYPE if typed else _CHOICES
    if document == "matching" and not typed:
        raise MisuseError(
            'document="matching" needs the type of the whole document, which partials(), result() and '
            'validate_output() have; pass "first" or "last" here'
        )
    if document not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise MisuseError(f"document= takes {words} or None, not {document!r}")
    if not lenient:
        raise MisuseError(f"document={document!r} needs lenient=True: strict JSON is a single document")
