"""JSON patches between successive drafts, for a copy that is kept elsewhere, such as in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._typed.dump import dump_element, dump_field, dump_json, get_names_and_view
from tokenstream.partial_json._typed.state import get_state
from tokenstream.partial_json._typed.views import FieldLog, GrowingArray, GrowingObject, GrowingText, ValueLog
from tokenstream.stages._text import SoundStage

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream._basics.text_log import TextLog
    from tokenstream.partial_json._shapes.shape import TypeNames
    from tokenstream.partial_json._shapes.write import ByAlias
    from tokenstream.partial_json._typed.partial import Partial

    GrowingView: TypeAlias = GrowingObject | GrowingArray

Operation: TypeAlias = dict[str, Any]
"""One step of a patch: `op`, `path`, and a `value` if the operation needs one."""


def make_pointer_segment(key: str | int) -> str:
    """Return a key as a segment of a JSON pointer, including the slash."""
    return f"/{str(key).replace('~', '~0').replace('/', '~1')}"


class PatchOperations:
    """Compute the operations that turn one snapshot into a later one."""

    def __init__(self, *, by_alias: ByAlias, append: bool) -> None:
        self._by_alias = by_alias
        self._append = append
        self._out: list[Operation] = []
        self._innermost: tuple[FieldLog | ValueLog, str, TypeNames] | None = None
        """The log of the innermost open object or array, its path, and the names of its type."""
        self._text_log: TextLog | None = None
        """The pieces of the open string, once it has grown between two snapshots."""
        self._text_path = ""

    def patch(self, before: Partial[Any] | None, after: Partial[Any]) -> list[Operation]:
        """Return the operations that turn a snapshot into a later one; empty if nothing has changed."""
        new_state, old_state = get_state(after), None if before is None else get_state(before)
        is_finished = new_state.outcome is not MISSING
        if old_state is None or old_state.document is not new_state.document:
            # The first patch, or a new draft because the answer was restarted.
            value = after.to_python(by_alias=self._by_alias) if is_finished else self._dump(after)
            return [{"op": "replace", "path": "", "value": value}]
        self._out = []
        if is_finished:
            # Validation may have changed any value; but a finished object does not change again.
            if old_state.outcome is MISSING:
                self._compare_data("", self._dump(before), after.to_python(by_alias=self._by_alias))
        elif not self._compare_innermost(old_state.inner, new_state.inner):
            self._compare("", before, after)
        return self._out

    def _compare_innermost(self, before: GrowingView | None, after: GrowingView | None) -> bool:
        """Compare the innermost open container; return True if all changes are in it.

        While the innermost container stays open, nothing around it changes; while a string in the
        container stays open, nothing else in it changes.
        """
        if self._innermost is None or before is None or after is None:
            return False
        storage, path, type_names = self._innermost
        if before.storage is not storage or after.storage is not storage:
            # Another container has become the innermost one.
            return False
        text = after.growing
        if text.__class__ is GrowingText and text.log is self._text_log:
            # The most common case: only the open string has grown.
            old_text = before.growing
            if old_text.__class__ is GrowingText and old_text.log is text.log:
                self._add_growth(self._text_path, old_text, text)
                return True
        open_child = self._compare_views(path, before, after, type_names)
        if open_child is not None:
            self._compare(*open_child)
        return True

    # -- views ---------------------------------------------------------------------

    def _compare(self, path: str, old: object, new: object) -> None:
        """Add the operations between two shown values at a path."""
        # From the outside in: at most one child of a container is open in both snapshots.
        while True:
            (_, before), (type_names, after) = get_names_and_view(old), get_names_and_view(new)
            if not isinstance(after, GrowingObject | GrowingArray):
                break
            if getattr(before, "storage", None) is not after.storage:
                # They are not two views of the same container.
                break
            storage: Any = after.storage
            self._innermost = storage, path, type_names
            open_child = self._compare_views(path, before, after, type_names)
            if open_child is None:
                return
            path, old, new = open_child
        if isinstance(after, GrowingText) and getattr(before, "log", None) is after.log:
            self._text_log, self._text_path = after.log, path
            self._add_growth(path, before, after)
        elif before is not after:
            self._compare_data(path, self._dump(old), self._dump(new))

    def _compare_views(
        self,
        path: str,
        before: Any,  # noqa: ANN401 - a view of an object or array
        after: Any,  # noqa: ANN401 - a view of the same
        type_names: TypeNames,
    ) -> tuple[str, Any, Any] | None:
        """Add the operations between two views; return path, before and after of a value growing in both."""
        if isinstance(after, GrowingObject):
            return self._compare_objects(path, before, after, type_names)
        return self._compare_arrays(path, before, after)

    def _dump(self, shown: object) -> Json:
        """Return a shown value as plain data, which shares nothing with the snapshots."""
        return json.loads(dump_json(shown, self._by_alias))

    def _add_growth(self, path: str, before: GrowingText, after: GrowingText) -> None:
        if before.length == after.length:
            return
        if self._append:
            self._add("append", path, after.text_since(before))
        else:
            self._add("replace", path, str(after))

    def _compare_objects(
        self, path: str, before: GrowingObject, after: GrowingObject, type_names: TypeNames
    ) -> tuple[str, Any, Any] | None:
        """Add the operations between two objects; return a field growing in both like `_compare_views`."""
        open_child = None
        # The fields that may have changed: finished since, shown in place of others, or growing.
        names = dict.fromkeys(after.log.names[before.length : after.length])
        if before.fillers is not after.fillers:
            names.update(dict.fromkeys((*before.fillers, *after.fillers)))
        for view in (before, after):
            if view.growing is not MISSING:
                names[view.name] = None
        for name in names:
            key = type_names.find_key(name, self._by_alias)
            if key is None:
                # This field is left out of the JSON.
                continue
            child_path = path + make_pointer_segment(key)
            open_before = before.growing is not MISSING and name == before.name
            open_after = after.growing is not MISSING and name == after.name
            if open_before and open_after:
                open_child = child_path, before.growing, after.growing
                continue
            old_value = self._dump(before.growing) if open_before else self._load_field(before, name)
            new_value = self._dump(after.growing) if open_after else self._load_field(after, name)
            self._compare_data(child_path, old_value, new_value)
        return open_child

    def _load_field(self, view: GrowingObject, name: str) -> Json:
        """Return a finished field as JSON data; MISSING if the object's JSON leaves the field out."""
        text = dump_field(view, name, self._by_alias)[1]
        return MISSING if text is None else json.loads(text)

    def _compare_arrays(
        self, path: str, before: GrowingArray, after: GrowingArray
    ) -> tuple[str, Any, Any] | None:
        """Add the operations between two arrays; return an element growing in both like `_compare_views`."""
        open_child = None
        # `length` is the number of finished elements; `len` also counts the growing one, if it is visible.
        for index in range(before.length, len(after)):
            child_path = f"{path}/{index}"
            open_before = index == before.length and before.growing is not MISSING
            if index == after.length:
                # The element that is growing.
                if open_before:
                    open_child = child_path, before.growing, after.growing
                else:
                    self._add("add", child_path, self._dump(after.growing))
                continue
            old_value = self._dump(before.growing) if open_before else MISSING
            new_value = json.loads(dump_element(after.values, index, self._by_alias))
            self._compare_data(child_path, old_value, new_value)
        if len(after) < len(before):
            # The element that was growing is not shown any more.
            self._add("remove", f"{path}/{len(after)}")
        return open_child

    # -- plain data ----------------------------------------------------------------

    def _compare_data(self, path: str, old: Json, new: Json) -> None:
        """Add the operations between two JSON values, each of which may be MISSING."""
        if old.__class__ is new.__class__ is dict:
            self._compare_dicts(path, old, new)
        elif old.__class__ is new.__class__ is list:
            self._compare_lists(path, old, new)
        elif new is MISSING:
            if old is not MISSING:
                self._add("remove", path)
        elif old is MISSING:
            self._add("add", path, new)
        # In Python, 1 equals True and 1.0, but their JSON differs.
        elif old.__class__ is not new.__class__ or old != new:
            if self._append and new.__class__ is str and old.__class__ is str and new.startswith(old):
                self._add("append", path, new[len(old) :])
            else:
                self._add("replace", path, new)

    def _compare_dicts(self, path: str, old: JsonObject, new: JsonObject) -> None:
        """Add the operations between two dicts: keys that are gone are removed first."""
        for key in old:
            if key not in new:
                self._add("remove", path + make_pointer_segment(key))
        for key, value in new.items():
            self._compare_data(path + make_pointer_segment(key), old.get(key, MISSING), value)

    def _compare_lists(self, path: str, old: list[Any], new: list[Any]) -> None:
        """Add the operations between two lists; removals go from the end, so that indexes stay valid."""
        for index in range(len(old) - 1, len(new) - 1, -1):
            self._add("remove", f"{path}/{index}")
        for index, value in enumerate(new):
            self._compare_data(f"{path}/{index}", old[index] if index < len(old) else MISSING, value)

    def _add(self, op: str, path: str, *value: Json) -> None:
        """Add an operation; `value` is empty for one without a value, such as "remove"."""
        operation: Operation = {"op": op, "path": path}
        if value:
            operation["value"] = value[0]
        self._out.append(operation)


class Patches(SoundStage):
    """A stage that turns drafts into patches: the changes since the previous draft, in the form of RFC 6902.

    The first patch replaces the root, and so does the first patch after a restart of the
    answer. A patch is a list of operations, dicts with `op`, `path` and `value`, whose values
    the caller may modify. A draft whose written form has not changed gives no patch.
    """

    def __init__(self, *, append: bool = False, by_alias: ByAlias = None) -> None:
        self._changes = PatchOperations(by_alias=by_alias, append=append)
        self._last_draft: Partial[Any] | None = None

    def feed(self, item: Partial[Any], /, *, now: float = 0.0) -> list[list[Operation]]:
        """Return the patch that turns the previous draft into this one, or no patch if nothing has changed.

        Raises:
            PydanticSerializationError: A serializer of the finished object's class fails.
        """
        last_draft, self._last_draft = self._last_draft, item
        patch = self._changes.patch(last_draft, item)
        return [patch] if patch else []

    def end(self, *, now: float = 0.0) -> list[list[Operation]]:
        """Return an empty list: this stage holds nothing back."""
        return []
