"""Messages with which a model can correct a call or an output: what is wrong, where, and what is expected."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.untrusted import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenstream._basics.loose import Json

    _PydanticError: TypeAlias = Mapping[str, Any]
    _ErrorList: TypeAlias = Sequence[_PydanticError]

_MAX_PLACES = 12
_MAX_LINE = 300
_MAX_PLACE = 120
_MAX_VALUE = 60
_AROUND = 20
_WORDS_FOR_ARGUMENTS = "they end", "they are", "they go"
_WORDS_FOR_OUTPUT = "it ends", "it is", "it goes"
_SUBJECT = re.compile(r"^\w+(?: input)? should ")
_PREFIX = re.compile(r"^(?:Value error|Assertion failed), ")
_SPACE = re.compile(r"\s+")


def words_for_model(name: str, text: str, offset: int | None, errors: _ErrorList) -> str:
    """Describe the faults in a call's arguments to the model: JSON ends at `offset`, or `errors` is wrong.

    The message names places as in JSON, and no class of the program; its length is limited.
    """
    if offset is not None:
        where = _describe_position(text, offset, _WORDS_FOR_ARGUMENTS)
        return f"The arguments of {name} are no valid JSON: {where}. Call {name} again with one JSON object."
    lines = _make_lines(errors, _decode_or_none(text), "the arguments")
    again = f"Call {name} again with all of its arguments, corrected."
    return "\n".join([f"The arguments of {name} are not valid:", *lines, again])


def words_for_output(
    text: str, offset: int | None, errors: _ErrorList, path: tuple[str | int, ...], repaired: object
) -> str:
    """Describe the faults in a JSON output to the model that wrote it, as `words_for_model` does."""
    if offset is not None:
        where = f": {_describe_position(text, offset, _WORDS_FOR_OUTPUT)}" if text else ""
        return f"The output is no valid JSON{where}. Write it again as one JSON document, and nothing else."
    if not errors:
        return "The output is not the JSON that was asked for. Write that, and nothing else."
    value = _decode_or_none(text)
    lines = _make_lines(errors, repaired if value is None else value, "the output", path)
    return "\n".join(["The output is not valid:", *lines, "Write all of it again, corrected."])


def words_for_place(problem: str) -> str:
    """Return the message about a missing or wrong value; `problem` quotes nothing that the model wrote."""
    return f"The output is not the JSON that was asked for: {problem}. Write all of it again, corrected."


def _describe_position(text: str, offset: int, words: tuple[str, str, str]) -> str:
    """Return the words for where a text stops being JSON; `words` are "it ends", "it is", "it goes"."""
    it_ends, it_is, it_goes = words
    if offset >= len(text):
        return f"{it_ends} after {len(text):,} characters, before {it_is} whole"
    around = text[max(0, offset - _AROUND) : offset + _AROUND]
    return f"{it_goes} wrong at character {offset:,}, near {_show_value(around)}"


def _decode_or_none(text: str) -> Json:
    """Return the value of a JSON text; None if it is invalid."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return None


def _make_lines(errors: _ErrorList, value: object, whole: str, path: tuple[str | int, ...] = ()) -> list[str]:
    """Return a line for each problem in a value: at most `_MAX_PLACES` places, and how many are left out."""
    outer = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
    # By place, such as `steps[0]`; then by member of the union type that the value there has ("" if the type
    # is not a union). The innermost dict has the problems as its keys: each one once, in order.
    places: dict[str, dict[str, dict[str, None]]] = {}
    for each in errors:
        # `inner` is "", or, in a value of a union type, the place inside that value that the error is about.
        place, member, inner = _locate(value, each, len(path))
        if outer and place:
            separator = "" if place.startswith("[") else "."
            place = f"{outer}{separator}{place}"
        elif outer:
            place = outer
        problems = places.setdefault(place, {}).setdefault(member, {})
        problems[f"{inner} {_describe_problem(each)}".lstrip()] = None
    lines = [
        _shorten(f"- {line}", _MAX_LINE)
        for place, members in places.items()
        for line in _make_place_lines(place or whole, members)
    ]
    left_out = len(lines) - _MAX_PLACES
    return lines if left_out <= 0 else [*lines[:_MAX_PLACES], f"- and {left_out} more places"]


def _make_place_lines(place: str, members: Mapping[str, Mapping[str, None]]) -> list[str]:
    """Return the lines that say what is wrong at one place; `members` are those of a union, or only ""."""
    if len(members) > 1:
        # The value fits no member of the union: it is enough to correct the problems with one of them.
        alternatives = dict.fromkeys("; ".join(of_member) for of_member in members.values())
        problems = [", or ".join(alternatives)]
    else:
        [problems_of_value] = members.values()
        problems = list(problems_of_value)
    # Only the place is cut, so that the problem always follows.
    return [f"{_shorten(place, _MAX_PLACE)}: {problem}" for problem in problems]


def _locate(value: object, error: _PydanticError, above: int) -> tuple[str, str, str]:
    """Return an error's place in the value, the union member tried there, and the place inside it, or "".

    pydantic's location also contains the names of union members: only keys and indexes
    that exist in the model's value are kept.
    """
    loc = error.get("loc", ())[above:]
    missing = error.get("type") == "missing"
    place = member = inner_place = ""
    for position, key in enumerate(loc):
        # The location of a missing value ends with the key that is absent.
        is_missing_key = missing and position == len(loc) - 1
        if is_list(value) and isinstance(key, int) and (is_missing_key or key < len(value)):
            value = None if is_missing_key else value[key]
            step = f"[{key}]"
        elif is_dict(value) and (is_missing_key or key in value):
            value = value.get(str(key))
            step = f".{key}"
        else:
            # A key that the value does not have is the name of a union member; those of inner unions, which
            # follow, are left out.
            member = member or str(key)
            continue
        if member:
            inner_place += step
        else:
            place += step
    return place.removeprefix("."), member, inner_place.removeprefix(".")


def _describe_problem(error: _PydanticError) -> str:
    words = _WORDS.get(error.get("type", ""))
    if words is not None:
        context: Mapping[str, Any] = error.get("ctx") or {}
        return words.format(tag=_name_of_tag(context), expected=context.get("expected_tags"))
    message = str(error.get("msg", "is not valid"))
    if _PREFIX.match(message):
        # A validator of the application has raised this message, which is kept in its own words.
        return _SPACE.sub(" ", _PREFIX.sub("", message))
    # "Input should be …" becomes "should be …", since the line already names the place.
    problem = _SUBJECT.sub("should ", message)
    if "input" in error and not isinstance(error["input"], dict | list):
        problem += f", not {_show_value(error['input'])}"
    return problem


def _show_value(value: object) -> str:
    """Return a value as JSON, shortened if necessary; "this" if it cannot be written as JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return "this"
    return _shorten(text, _MAX_VALUE)


def _shorten(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else f"{text[:max_length]}…"


def _name_of_tag(context: Mapping[str, Any]) -> str:
    """Return the key by which a union's members differ, for an error message; a paraphrase if unknown."""
    # For a callable discriminator, this is the function's name, which the model must not see.
    tag = str(context.get("discriminator", ""))
    return tag.strip("'") if tag.startswith("'") else "what tells its kind"


_OF_CLASSES = ("model_type", "model_attributes_type", "dataclass_type", "dict_type")
_OTHERS = ("dataclass_exact_type", "is_instance_of", "is_subclass_of", "callable_type", "needs_python_object")
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "union_tag_invalid": "{tag} should be one of {expected}",
    "union_tag_not_found": "{tag} is missing",
    # pydantic's messages for these errors name the class.
    **dict.fromkeys(_OF_CLASSES, "should be an object"),
    **dict.fromkeys(_OTHERS, "is not what is expected here"),
}
