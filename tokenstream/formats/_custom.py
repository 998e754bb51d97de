"""The options of a custom mapping, checked and compiled, and paths into payloads (`"choices.0.text"`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from tokenstream._basics.untrusted import LONGEST_INDEX, is_dict, is_list, is_mapping
from tokenstream._values.parts import COUNTS
from tokenstream.errors import MisuseError
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.values import reasons_of
from tokenstream.message import FinishReason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tokenstream._basics.loose import Json

FieldPath: TypeAlias = tuple[str | int, ...]
"""Keys and list indexes from the top of a payload; `"*"` is every item of a list."""

ROOT = "$"
"""The path of the payload itself."""
_EACH = "*"
_SUBSCRIPT = re.compile(r"\[(?:\d*|\*)\]$")

COMMON_REASONS = reasons_of(
    stop="stop eos eos_token end_turn end done complete completed finished true",
    stop_sequence="stop_sequence",
    length="length max_tokens max_length",
    tool_calls="tool_calls",
    content_filter="content_filter safety",
    cancelled="cancelled canceled abort",
    error="error failed",
)
"""Maps the words that servers usually send for the end to finish reasons; any other word is "unknown"."""


def compile_path(option: str, path: object) -> FieldPath:
    """Compile an option's path: keys and list indexes with dots between them.

    Example:
        >>> compile_path("text", "choices.0.text"), compile_path("text", "$")
        (('choices', 0, 'text'), ())
    """
    if not isinstance(path, str):
        raise MisuseError(f'{option}={path!r} is not a path; a path is text, such as "choices.0.text"')
    if path == ROOT:
        return ()
    steps = path.split(".")
    # Reject the notation of other path languages: read as keys, it would silently match nothing.
    if not all(steps) or steps[0] == ROOT or any(_SUBSCRIPT.search(step) for step in steps):
        raise MisuseError(
            f"{option}={path!r} is not a path: put one dot between two keys or indexes, "
            'such as "choices.0.text"; "$" is the whole payload, and is used alone'
        )
    return tuple(int(step) if step.isdecimal() and len(step) <= LONGEST_INDEX else step for step in steps)


def find(payload: Json, path: FieldPath) -> Json:
    """Return the first value at a path; None if the path leads nowhere."""
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


def find_text(payload: object, path: FieldPath) -> str | None:
    """Return the text at a path, None if there is none; several texts, to which `"*"` leads, are joined."""
    if _EACH not in path:
        value = find(payload, path)
        return value if value.__class__ is str else None
    texts = [value for value in _find_all(payload, path) if isinstance(value, str)]
    return "".join(texts) if texts else None


def list_single_places(paths: Iterable[FieldPath], others: Sequence[FieldPath]) -> list[FieldPath]:
    """Return the places in a payload from which the fast path may read text: those of `paths`.

    Left out are paths that may lead to several places, because they contain `"*"`, the path of the whole
    payload, and places that overlap with one of `others`, whose value the fast path would not read. A number
    in a path may be an index or an object's key, so such a path gives two places.
    """
    single = [path for path in paths if path and _EACH not in path]
    separate = [path for path in single if not any(_overlap(path, other) for other in others)]
    places: list[FieldPath] = []
    for path in separate:
        # In an object, digits are a key like any other.
        places += [path, tuple(map(str, path))]
    # Without duplicates: both places of a path without digits are the same.
    return list(dict.fromkeys(places))


def _overlap(path: FieldPath, other: FieldPath) -> bool:
    """Return True if one of two paths leads to, through or into the place of the other."""
    return all(
        _EACH in (step, other_step) or str(step) == str(other_step)
        for step, other_step in zip(path, other, strict=False)
    )


def _find_all(payload: object, path: FieldPath) -> Iterator[object]:
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


@dataclass(frozen=True, slots=True)
class CustomMapping:
    """A mapping: the options of `custom`, checked and with compiled paths."""

    text: tuple[FieldPath, ...]
    """Paths to the text; the first path that leads to text is used."""
    bare: bool
    """True if the data of a frame are the text itself, and not JSON."""
    reasoning: tuple[FieldPath, ...]
    finish: FieldPath | None
    reasons: Mapping[str, FinishReason | None]
    """Maps the server's words to finish reasons, or to None for a word that does not mean the end."""
    id: FieldPath | None
    model: FieldPath | None
    usage: tuple[tuple[str, FieldPath], ...]
    error: FieldPath | None
    retryable: Mapping[str, bool]
    """Maps an error's code or type to True if a retry may help."""
    events: frozenset[str] | None
    """Names of the SSE events that contain text; None if any event may."""
    where: tuple[tuple[FieldPath, tuple[Any, ...]], ...]
    """Conditions for a payload with text: for each path, the values of which one must be there."""
    ends: frozenset[str]
    """Names of the SSE events that mark the end."""
    sentinel: bytes | None
    fields: frozenset[str] = field(init=False)
    """The top-level fields that the paths begin with."""
    fast: Fast | None = field(init=False)
    """Places of the text for the fast path; None if each of them overlaps with another path."""

    def __post_init__(self) -> None:
        """Set `fields` to the top-level fields of the paths, and `fast` to the places for the fast path."""
        single_values = [path for path in (self.finish, self.id, self.model, self.error) if path is not None]
        counts = [path for _, path in self.usage]
        conditions = [path for path, _ in self.where]
        texts, others = [*self.text, *self.reasoning], [*single_values, *counts, *conditions]
        fields = frozenset(str(path[0]) for path in [*texts, *others] if path)
        # The fast path may read only texts that no other path reads; a field that is read is not padding.
        places = list_single_places(texts, others)
        # The dataclass is frozen.
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "fast", Fast(texts=places, padding=PADDING - fields) if places else None)

    def is_of_error(self, data: Json) -> bool:
        """Return True if a payload has the type "error", or that kind where a condition asks for another."""
        kinds = [path for path, allowed in self.where if "error" not in allowed]
        return any(
            find(data, path) == "error" for path in (kinds if "type" in self.fields else [*kinds, ("type",)])
        )

    def may_hold_text(self, data: object, event: str) -> bool:
        """Return True if a payload meets the mapping's conditions for text, so that text is looked for."""
        if self.events is not None and event not in self.events:
            return False
        return all(find(data, path) in allowed for path, allowed in self.where)


def compile_paths(option: str, value: str | Sequence[str] | None) -> tuple[FieldPath, ...]:
    """Return the paths of an option, of which the first that leads to a value counts; () if it is not set."""
    if value is None:
        return ()
    paths = _list_of(value)
    if not paths:
        raise MisuseError(f"{option}={value!r} holds no path")
    return tuple([compile_path(option, path) for path in paths])


def check_event_names(option: str, value: str | Collection[str] | None) -> frozenset[str] | None:
    """Return the names of SSE events that an option lists; None if the option was not set.

    The name "message", the SSE standard's name for an event without a name, becomes "".
    """
    if value is None:
        return None
    names = [name for name in _list_of(value) if isinstance(name, str) and name]
    if not names or len(names) < len(_list_of(value)):
        msg = f'{option}={value!r}: give the name of an SSE event, or a list of names, such as "output"'
        raise MisuseError(msg)
    return frozenset(["" if name == "message" else name for name in names])


def _list_of(value: object) -> list[Any]:
    items: Any = value
    return list(items) if isinstance(value, list | tuple | set | frozenset) else [value]


def _check_dict(option: str, value: object, example: str) -> list[tuple[Any, Any]]:
    """Return the pairs of a dict, or an empty list if the option was not set."""
    if value is None:
        return []
    if not is_mapping(value):
        raise MisuseError(f"{option}={value!r}: give a dict, such as {example}")
    return list(value.items())


def check_sentinel(value: object) -> bytes | None:
    """Return the data that mark the end of the answer, as bytes; None if the option was not set."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise MisuseError(f'sentinel={value!r}: give the data that mean the end, such as "[DONE]"')
    return value.strip().encode()


def compile_usage_paths(value: Mapping[str, str] | None) -> tuple[tuple[str, FieldPath], ...]:
    """Return the paths to token counts as pairs: the name of a count in `Usage`, and its path."""
    paths: list[tuple[str, FieldPath]] = []
    for name, path in _check_dict("usage", value, '{"output_tokens": "usage.out"}'):
        if name not in COUNTS:
            raise MisuseError(f"usage has no field {name!r}; its counts are {', '.join(COUNTS)}")
        paths.append((name, compile_path(f"usage[{name!r}]", path)))
    return tuple(paths)


def check_reasons(value: Mapping[str, FinishReason | None] | None) -> dict[str, FinishReason | None]:
    """Return a table from the server's words to finish reasons: the caller's entries and the usual ones."""
    reasons = get_args(FinishReason)
    meanings = _check_dict("finish_reasons", value, '{"eos": "stop", "not_finished": None}')
    for word, reason in meanings:
        if reason not in (None, *reasons):
            raise MisuseError(
                f"finish_reasons[{word!r}]={reason!r} is not a finish reason; they are {', '.join(reasons)}, "
                "and None for a word that does not mean the end"
            )
    return {**COMMON_REASONS, **dict(meanings)}


def check_retryable(value: Mapping[str, bool] | None) -> dict[str, bool]:
    """Return the option `retryable` as a dict: whether a retry may help, by an error's code or type."""
    meanings = _check_dict("retryable", value, '{"warming_up": True, "no_such_bird": False}')
    for word, is_retryable in meanings:
        if not isinstance(is_retryable, bool):
            msg = f"retryable[{word!r}] is to be True or False, and is of type {type(is_retryable).__name__}"
            raise MisuseError(msg)
    return dict(meanings)


def compile_conditions(value: Mapping[str, Any] | None) -> tuple[tuple[FieldPath, tuple[Any, ...]], ...]:
    """Return the conditions under which a payload has text: pairs of a path and the values allowed there."""
    conditions: list[tuple[FieldPath, tuple[Any, ...]]] = []
    for path, values in _check_dict("where", value, '{"type": "delta"}'):
        allowed = tuple(_list_of(values))
        if not allowed:
            raise MisuseError(f"where[{path!r}]={values!r} holds no value: no payload could ever hold text")
        conditions.append((compile_path("where", path), allowed))
    return tuple(conditions)
