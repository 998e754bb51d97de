"""Paths into payloads, such as `"choices.0.text"`: compiled once, followed in every payload."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from tokenstream._basics.untrusted import LONGEST_INDEX, is_dict, is_list
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tokenstream._basics.loose import Json

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list indexes from the top of a payload; `"*"` is every item of a list."""

ROOT = "$"
"""The path of the payload itself."""
_EACH = "*"
_SUBSCRIPT = re.compile(r"\[(?:\d*|\*)\]$")


def compile_path(option: str, path: object) -> Path:
    """Compile a path.

    Args:
        option: The option's name, for the error.
        path: Keys and list indexes with dots between them.

    Raises:
        MisuseError: `path` is not a path.

    Example:
        >>> compile_path("text", "choices.0.text"), compile_path("text", "$")
        (('choices', 0, 'text'), ())
    """
    if not isinstance(path, str):
        msg = f'{option}={path!r} is not a path; a path is text, such as "choices.0.text"'
        raise MisuseError(msg)
    if path == ROOT:
        return ()
    steps = path.split(".")
    # Reject the notation of other path languages: read as keys, it would silently match nothing.
    if not all(steps) or steps[0] == ROOT or any(_SUBSCRIPT.search(step) for step in steps):
        msg = (
            f"{option}={path!r} is not a path: put one dot between two keys or indexes, "
            'such as "choices.0.text"; "$" is the whole payload, and stands alone'
        )
        raise MisuseError(msg)
    return tuple(int(step) if step.isdecimal() and len(step) <= LONGEST_INDEX else step for step in steps)


def find(payload: Json, path: Path) -> Json:
    """Return the first value at a path; None if the path leads nowhere.

    Example:
        >>> find({"choices": [{"text": "Hel"}]}, ("choices", 0, "text")), find({}, ("choices",))
        ('Hel', None)
    """
    value = payload
    for depth, step in enumerate(path):
        if value.__class__ is dict:
            # In an object, digits are a key like any other.
            value = value.get(step if step.__class__ is str else str(step))
        elif not is_list(value):
            return None
        elif step == _EACH:
            found = (find(item, path[depth + 1 :]) for item in value)
            return next((item for item in found if item is not None), None)
        elif isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def find_text(payload: object, path: Path) -> str | None:
    """Return the text at a path, or None if there is none; if `"*"` leads to several texts, they are joined.

    Example:
        >>> find_text({"content": [{"text": "Hel"}, {}, {"text": "lo"}]}, ("content", "*", "text"))
        'Hello'
    """
    if _EACH not in path:
        value = find(payload, path)
        return value if value.__class__ is str else None
    texts = [value for value in _find_all(payload, path) if isinstance(value, str)]
    return "".join(texts) if texts else None


def list_single_places(paths: Iterable[Path], others: Sequence[Path]) -> list[Path]:
    """Return the places in a payload from which the fast path may read text: those of `paths`.

    A path that may lead to several places, because it contains `"*"`, is left out, as is the path of the
    whole payload. A number in a path may be an index or an object's key, so such a path gives two places.

    Args:
        paths: The paths to text.
        others: The paths to other values. A place that overlaps with one of them is left out, because the
            fast path would not read that value.

    Example:
        >>> list_single_places([("choices", 0, "text"), ("a", "*"), ("b",)], [("b", "end")])
        [('choices', 0, 'text'), ('choices', '0', 'text')]
    """
    single = [path for path in paths if path and _EACH not in path]
    separate = [path for path in single if not any(_overlap(path, other) for other in others)]
    places: list[Path] = []
    for path in separate:
        # In an object, digits are a key like any other.
        places += [path, tuple(map(str, path))]
    # Without duplicates: both places of a path without digits are the same.
    return list(dict.fromkeys(places))


def _overlap(path: Path, other: Path) -> bool:
    """Return True if one of two paths leads to, through or into the place of the other."""
    return all(
        _EACH in (step, other_step) or str(step) == str(other_step)
        for step, other_step in zip(path, other, strict=False)
    )


def _find_all(payload: object, path: Path) -> Iterator[object]:
    """Yield all values at a path; `"*"` stands for each item of an array, or for that key of an object."""
    if _EACH not in path:
        yield find(payload, path)
        return
    depth = path.index(_EACH)
    container = find(payload, path[:depth])
    if is_list(container):
        for item in container:
            yield from _find_all(item, path[depth + 1 :])
    elif is_dict(container) and _EACH in container:
        yield from _find_all(container[_EACH], path[depth + 1 :])
