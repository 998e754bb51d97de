"""The options for values that are not complete: which kinds to show, and strings by which unit."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    # The package has no type annotations.
    Allow: Any = import_module("partial_json_parser").Allow
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the flags `Allow` are those of partial-json-parser, which is not installed: "
        "`pip install partial-json-parser`",
        name=error.name,
    ) from error


ShowUnit: TypeAlias = Literal["characters", "words", "values"]
"""The unit in which an unfinished string becomes visible."""

_UNITS = get_args(ShowUnit)

_KEY = "tokenstream_show"
"""The key of a `Show` in the metadata of a core schema."""


@dataclass(frozen=True, slots=True)
class Show:
    """Annotate a field with the unit in which drafts show it: `Annotated[str, Show("values")]`.

    Works in pydantic models, dataclasses and TypedDicts, also for the
    elements of a list. It takes precedence over `partials(show=…)`.

    Args:
        how: "characters" shows a string as far as it has arrived; "words" shows it up to its
            last whole word; "values" shows it once it is finished. For a list, dict or object,
            "values" hides it until it is complete; the others apply to the strings in it.

    Raises:
        MisuseError: `how` is none of these words.

    Example:
        >>> from typing import Annotated
        >>> from tokenstream import Stream
        >>> stream = Stream(['["Pan', 'cakes", "Tea', '"]'], format="pieces")
        >>> [draft.value for draft in stream.partials(list[Annotated[str, Show("values")]])]
        [[], ['Pancakes'], ['Pancakes', 'Tea']]
    """

    how: ShowUnit

    def __post_init__(self) -> None:
        check_show(self.how)

    def __get_pydantic_core_schema__(
        self, source: object, handler: Callable[[object], Any]
    ) -> dict[str, Any]:
        """Record `how` in the metadata of the type's schema, which is otherwise unchanged."""
        schema: dict[str, Any] = handler(source)
        metadata: dict[str, Any] = {**(schema.get("metadata") or {}), _KEY: self.how}
        if schema["type"] == "definition-ref":
            # Without this, pydantic 2.10 inlines the model's schema and drops the metadata.
            metadata.setdefault("pydantic_js_functions", [])
        return {**schema, "metadata": metadata}


def check_show(how: Any) -> ShowUnit:  # noqa: ANN401 - whatever is given
    if how not in _UNITS:
        raise MisuseError(f'show takes "characters", "words" or "values", not {how!r}')
    found: ShowUnit = how
    return found


def find_show_in_schema(schema: dict[str, Any]) -> ShowUnit | None:
    metadata: Any = schema.get("metadata")
    return metadata.get(_KEY) if metadata else None


class Cutter(Protocol):
    """Cuts text into words, as `tokenstream.stages.Words` does."""

    def feed(self, item: str, /) -> list[str]:
        """Return the words that are known to be complete."""
        ...


class WordLog(TextLog):
    """Text that grows by whole words; an unfinished word is held back.

    Args:
        words: Cuts the text into words.
    """

    __slots__ = ("_words",)

    def __init__(self, words: Cutter) -> None:
        super().__init__()
        self._words = words

    def append(self, piece: str) -> None:
        for word in self._words.feed(piece):
            super().append(word)


def make_log(unit: ShowUnit, words: Callable[[], Cutter] | None) -> TextLog | None:
    """Return an empty `TextLog` for a growing string; None for "values", and for "words" without a cutter."""
    if unit == "characters":
        return TextLog()
    return WordLog(words()) if unit == "words" and words is not None else None
