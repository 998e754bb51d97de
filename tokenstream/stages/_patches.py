"""What changes from draft to draft, for who applies it elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._typed.patch import Changes
from tokenstream.stages._text.base import SoundStage

if TYPE_CHECKING:
    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._shapes.write import ByAlias
    from tokenstream.partial_json._typed.patch import Operation


class Patches(SoundStage):
    """A stage from drafts to patches: what has changed since the draft before, as RFC 6902 has it.

    The first patch replaces the root, and so does one after the answer began again. A
    patch is a list of operations, dicts with `op`, `path` and `value`; their values may
    be changed. A draft in which nothing has changed that is written gives none.

    Args:
        append: Whether a string that grows is told by what it grew by, with an operation
            that RFC 6902 has not: `{"op": "append", "path": "/tip", "value": "…"}`.
        by_alias: Whether fields are written under their aliases; None leaves it to the types.

    Example:
        >>> from tokenstream.stages import Chain, Partials
        >>> patches = Chain(Partials(dict[str, str]), Patches(append=True))
        >>> patches.feed('{"title": "Pan')
        [[{'op': 'replace', 'path': '', 'value': {'title': 'Pan'}}]]
        >>> patches.feed("cakes")
        [[{'op': 'append', 'path': '/title', 'value': 'cakes'}]]
    """

    __slots__ = ("_changes", "_given")

    def __init__(self, *, append: bool = False, by_alias: ByAlias = None) -> None:
        self._changes = Changes(by_alias=by_alias, append=append)
        self._given: Partial[Any] | None = None
        """The draft that the last patch led to."""

    def feed(self, item: Partial[Any], /, *, now: float = 0.0) -> list[list[Operation]]:
        """Return the patch that leads to a draft, or none where nothing has changed.

        Args:
            item: The draft.
            now: Unused; every stage takes it.

        Raises:
            PydanticSerializationError: A method of the finished object's class for it fails.
        """
        before, self._given = self._given, item
        patch = self._changes.patch(before, item)
        return [patch] if patch else []

    def end(self, *, now: float = 0.0) -> list[list[Operation]]:
        """Return what was held: nothing.

        Args:
            now: Unused; every stage takes it.
        """
        return []
