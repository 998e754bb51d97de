"""Apply JSON patches to a document by RFC 6902, for comparison in the tests of patches."""

from __future__ import annotations

import copy
from typing import Any


def patched(document: Any, patch: list[dict[str, Any]], *, append: bool = False) -> Any:
    """Return a document with a patch applied; the document itself is not changed.

    Args:
        patch: The operations; one without a place raises LookupError.
        append: True to allow operations that append to strings.
    """
    root = [copy.deepcopy(document)]
    for operation in patch:
        assert operation.keys() == {"op", "path"} | ({"value"} if operation["op"] != "remove" else set())
        _apply(root, append=append, **operation)
    return root[0]


def _apply(root: list[Any], *, op: str, path: str, value: Any = None, append: bool) -> None:
    keys: list[Any] = [0, *(key.replace("~1", "/").replace("~0", "~") for key in path.split("/")[1:])]
    holder: Any = root
    for key in keys[:-1]:
        holder = holder[_at(holder, key)]
    key = _at(holder, keys[-1])
    if op == "add" and isinstance(holder, list):
        assert 0 <= key <= len(holder)
        holder.insert(key, value)
    elif op == "add":
        # RFC 6902 would replace an existing member: these tests expect `replace` for that.
        assert key not in holder
        holder[key] = value
    else:
        # A missing value can't be removed, replaced or appended to.
        old = holder[key]
        if op == "remove":
            del holder[key]
        elif op == "replace":
            holder[key] = value
        else:
            assert (op, append) == ("append", True)
            assert value
            holder[key] = old + value


def _at(holder: Any, key: Any) -> Any:
    return int(key) if isinstance(holder, list) else key
