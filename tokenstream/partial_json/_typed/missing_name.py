"""The errors for attributes that a draft lacks."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.partial_json._shapes.shape import TypeNames

NO_FIELDS = "is not an object with fields; read its `value`"
_MOST_NAMES = 12
"""The most field names that an error lists."""
_OF_MODELS = {
    "dict": ".to_python()",
    "json": ".to_json()",
    "model_dump": ".to_python()",
    "model_dump_json": ".to_json()",
}
"""Methods that write a finished model, each with the method that writes a draft."""


def explain_missing(name: str, type_names: TypeNames) -> str:
    """Return the message of the error for an attribute that a draft lacks."""
    title, known = type_names.title, type_names.field_names
    if name in _OF_MODELS:
        return (
            f"a draft of {title} has no {name!r}: {_OF_MODELS[name]} writes what has arrived, "
            f".final() returns the finished {title}"
        )
    if known is None:
        return f"{title} {NO_FIELDS}"
    listed = ", ".join(list(known)[:_MOST_NAMES]) or "none"
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    close = get_close_matches(name, known, n=1)
    advice = f"did you mean {close[0]!r}? " if close else ""
    return (
        f"{title} has no field {name!r}: {advice}its fields are {listed}{more}. Methods are there once the "
        'object is finished; draft.get("items", 0, "qty") reads a field of an element before and after'
    )
