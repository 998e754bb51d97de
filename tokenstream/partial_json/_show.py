"""When a string shows: by characters, by whole words, or once it is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

from tokenstream._log import TextLog
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cutter", "How", "Show", "WordLog", "check_show", "log_for", "said_in", "said_of"]

How: TypeAlias = Literal["characters", "words", "values"]
"""When what is written shows."""

_HOWS = get_args(How)

_KEY = "tokenstream_show"
"""Where a core schema tells it, among its metadata."""


@dataclass(frozen=True, slots=True)
class Show:
    """Say of a field, in its annotation, when it shows in drafts: `Annotated[str, Show("values")]`.

    Works in pydantic models, dataclasses, TypedDicts and msgspec Structs, also
    for elements, and goes before what `partials(show=…)` says.

    Args:
        how: "characters", a string shows as far as it has come; "words", as far as
            its last whole word; "values", once it is finished. Of a list, dict or
            object "values" says that it shows once it is whole; the others say how
            the strings in it show.

    Raises:
        MisuseError: It is none of these words.

    Example:
        >>> from typing import Annotated
        >>> from tokenstream.stages import Partials
        >>> titles = Partials(list[Annotated[str, Show("values")]])
        >>> [draft.value for piece in ('["Pan', 'cakes", "Tea') for draft in titles.feed(piece)]
        [[], ['Pancakes']]
    """

    how: How

    def __post_init__(self) -> None:
        check_show(self.how)

    def __get_pydantic_core_schema__(
        self, source: object, handler: Callable[[object], Any]
    ) -> dict[str, Any]:
        """Note it in the schema of the type, which stays what it is."""
        schema: dict[str, Any] = handler(source)
        metadata: dict[str, Any] = {**(schema.get("metadata") or {}), _KEY: self.how}
        if schema["type"] == "definition-ref":
            # Else pydantic 2.10 puts the model's schema in its place, without what is noted here.
            metadata.setdefault("pydantic_js_functions", [])
        return {**schema, "metadata": metadata}


def check_show(how: Any) -> How:  # noqa: ANN401 - whatever is given
    """Return when something is to show.

    Raises:
        MisuseError: It is none of the words for it.
    """
    if how not in _HOWS:
        raise MisuseError(f'what shows is "characters", "words" or "values", and not {how!r}')
    found: How = how
    return found


def said_in(schema: dict[str, Any]) -> How | None:
    """Return what is noted in a core schema; None where nothing is."""
    metadata: Any = schema.get("metadata")
    return metadata.get(_KEY) if metadata else None


def said_of(annotated: Any) -> How | None:  # noqa: ANN401 - any type
    """Return what the annotation of a type says; None where it says nothing."""
    said: How | None = None
    for each in getattr(annotated, "__metadata__", ()):
        said = each.how if isinstance(each, Show) else said
    return said


class Cutter(Protocol):
    """Cuts text into words, as `tokenstream.stages.Words` does."""

    def feed(self, item: str, /) -> list[str]:
        """Return the words whose end is sure."""
        ...


class WordLog(TextLog):
    """Text that grows by whole words: what may still go on is held back.

    Args:
        words: Cuts the text.
    """

    __slots__ = ("_words",)

    def __init__(self, words: Cutter) -> None:
        super().__init__()
        self._words = words

    def append(self, text: str) -> None:
        for word in self._words.feed(text):
            super().append(word)


def log_for(how: How, words: Callable[[], Cutter] | None) -> TextLog | None:
    """Return where a string grows; None where it shows at its end.

    Args:
        how: When it shows.
        words: Makes what cuts it into words.
    """
    if how == "characters":
        return TextLog()
    return WordLog(words()) if how == "words" and words is not None else None
