"""JSON patches between successive drafts, for a copy that is kept elsewhere, such as in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.partial_json._typed.patch import PatchOperations
from tokenstream.stages._text.base import SoundStage

if TYPE_CHECKING:
    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._shapes.write import ByAlias
    from tokenstream.partial_json._typed.patch import Operation


@show_members
class Patches(SoundStage):
    """A stage that turns drafts into patches: the changes since the previous draft, in the form of RFC 6902.

    The first patch replaces the root, and so does the first patch after a restart of the
    answer. A patch is a list of operations, dicts with `op`, `path` and `value`, whose values
    the caller may modify. A draft whose written form has not changed gives no patch.

    Args:
        append: True if only the addition to a growing string is sent, with an operation
            that RFC 6902 does not have: `{"op": "append", "path": "/tip", "value": "…"}`.
        by_alias: True if fields are written under their aliases; None uses the setting of each type.

    Example:
        >>> from tokenstream.stages import Chain, Partials
        >>> patches = Chain(Partials(dict[str, str]), Patches(append=True))
        >>> patches.feed('{"title": "Pan')
        [[{'op': 'replace', 'path': '', 'value': {'title': 'Pan'}}]]
        >>> patches.feed("cakes")
        [[{'op': 'append', 'path': '/title', 'value': 'cakes'}]]
    """

    __slots__ = ("_changes", "_last_draft")

    def __init__(self, *, append: bool = False, by_alias: ByAlias = None) -> None:
        self._changes = PatchOperations(by_alias=by_alias, append=append)
        self._last_draft: Partial[Any] | None = None
        """The draft that the last patch produces."""

    def feed(self, item: Partial[Any], /, *, now: float = 0.0) -> list[list[Operation]]:
        """Return the patch that turns the previous draft into this one, or no patch if nothing has changed.

        Args:
            item: The draft.
            now: Unused; every stage has this parameter.

        Raises:
            PydanticSerializationError: A serializer of the finished object's class fails.
        """
        last_draft, self._last_draft = self._last_draft, item
        patch = self._changes.patch(last_draft, item)
        return [patch] if patch else []

    def end(self, *, now: float = 0.0) -> list[list[Operation]]:
        """Return an empty list: this stage holds nothing back.

        Args:
            now: Unused; every stage has this parameter.
        """
        return []
