"""The values of parameters as JSON, by the schemas of the tools, and strings that are nearly JSON."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import is_one_value
from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list
from tokenstream.errors import InvalidJSON, LimitExceeded
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.partial_json._repairs import RepairName

ParameterSchema: TypeAlias = "Mapping[str, Any] | None"
_ESCAPE = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
# Possessive: backtracking would store a position for each escape of a long string.
_PLAIN = r'[^"\\\x00-\x1f]*+'
STRING_TEXT = re.compile(f"{_PLAIN}(?:(?>{_ESCAPE}){_PLAIN})*+")
"""Matches what JSON may have in a string."""
match_unfinished = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z").match
"""Matches at the end of a text, and before an escape that ends with it and may go on."""
_OF_STRINGS = frozenset({"bad_escape", "mixed_escapes", "raw_control"})
"""Repairs within strings alone."""


def mend_escape(text: str) -> tuple[str, int, RepairName]:
    """Return the JSON of what begins a text and no JSON string has; its characters, and the repair."""
    if text[0] != "\\":
        return to_json(text[0])[1:-1], 1, "raw_control"
    # A backslash that begins no escape is kept, except before a quote of another language.
    return ("'", 2, "bad_escape") if text == "\\'" else ("\\\\", 1, "bad_escape")


def mend_json(text: str) -> tuple[str, tuple[RepairName, ...]]:
    """Return a text with its strings mended if it is JSON then, and the repairs; else the text itself."""
    if is_one_value(text):
        return text, ()
    from tokenstream.partial_json._parser import mend

    try:
        mended, made = mend(text, "closed", max_depth=DEFAULT_LIMITS.depth)
    except (InvalidJSON, LimitExceeded):
        return text, ()
    repairs: tuple[RepairName, ...] = tuple(dict.fromkeys([repair.name for repair in made]))
    return (mended, repairs) if {*repairs} <= _OF_STRINGS and is_one_value(mended) else (text, ())


def is_whole(arguments: str) -> bool:
    """Return True for arguments that are one JSON value, in which no name comes again with another value."""
    if not is_one_value(arguments) or arguments.lstrip()[:1] != "{":
        return is_one_value(arguments)
    members: list[tuple[str, object]] = json.loads(arguments, object_pairs_hook=list)
    last = dict(members)
    return all(last[name] == value for name, value in members)


_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
_OTHER_NAMES = {python.__name__: name for python, name in _TYPES.items()}
"""Names of types that some schemas use in place of JSON's."""
_JSON_NAMES = {"true": True, "false": False, "null": None}
_DEEPEST = 8
"""The most schemas within one another in which a type is looked for."""
_LONGEST_PYTHON = 1 << 16
"""The most characters of a Python call, or of a value in Python's notation, that are parsed."""
STRING = frozenset({"string"})
ANY: frozenset[str] = frozenset()
BARE_WORDS = frozenset({"number", "boolean", "null"})
"""The types of values that a notation with quotes of its own has without quotes."""


def find_schema(schema: ParameterSchema, root: ParameterSchema, name: str) -> JsonObject | None:
    """Return the schema of a value within another one, by its name; None if it is not known."""
    for form in _forms(schema, root):
        found = dict_of(form, "properties").get(name, form.get("items", form.get("additionalProperties")))
        if is_dict(found):
            return found
    return None


def types_in(schema: ParameterSchema, root: ParameterSchema) -> frozenset[str]:
    """Return the JSON types that a schema allows; `ANY` if it names none. Without one, it is a string."""
    types: set[str] = set()
    for form in _forms(schema, root):
        named = form.get("type")
        names = [each for each in (named if is_list(named) else [named]) if isinstance(each, str)]
        enum: Any = form.get("enum")
        values: list[Any] = enum if is_list(enum) and not names else []
        types |= {_OTHER_NAMES.get(each, each) for each in names}
        types |= {_TYPES[type(value)] for value in values if type(value) in _TYPES}
    return STRING if schema is None else frozenset(types)


def _forms(schema: ParameterSchema, root: ParameterSchema, depth: int = 0) -> Iterator[JsonObject]:
    """Yield a schema, and the schemas that it combines or refers to."""
    form = dict(schema or {})
    yield form
    inner = [each for key in ("anyOf", "oneOf", "allOf") for each in dicts_of(form.get(key))]
    reference = form.get("$ref")
    if isinstance(reference, str):
        # Such as `#/$defs/Place`.
        inner.append(reduce(dict_of, reference.removeprefix("#/").split("/"), dict(root or {})))
    for each in inner if depth < _DEEPEST else ():
        yield from _forms(each, root, depth + 1)


def to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_value(text: str, types: frozenset[str]) -> tuple[str, tuple[RepairName, ...]]:
    """Return the JSON of a parameter's value, and the repairs if its text was not JSON."""
    stripped, repairs = mend_json(text.strip())
    if is_one_value(stripped):
        kind = _find_json_kind(stripped)
        is_string = "string" in types and (kind == "string" or not _allows(types, kind))
        return (to_json(text), ()) if is_string else (stripped, repairs)
    literal = json_of_literal(stripped)
    if literal is not None and _allows(types - STRING, _find_json_kind(literal)):
        return literal, ("python_literal",)
    return to_json(text), ()


def _find_json_kind(text: str) -> str:
    return _TYPES[type(json.loads(text))]


def write_elements(text: str, within: Mapping[str, list[str]], types: frozenset[str]) -> str:
    """Return the JSON of a value by its text, or by the JSON of the elements within it, which have names."""
    is_empty = bool(types & {"array", "object"}) and "string" not in types and not text.strip()
    if not (within or is_empty):
        return write_value(text, types)[0]
    if "array" in types or ("object" not in types and set(within) == {"item"}):
        return f"[{', '.join([value for each in within.values() for value in each])}]"
    # A name that comes again is one of a list.
    each = {name: found[0] if len(found) == 1 else f"[{', '.join(found)}]" for name, found in within.items()}
    return "{" + ", ".join([f"{to_json(name)}: {value}" for name, value in each.items()]) + "}"


def _allows(types: frozenset[str], kind: str) -> bool:
    return kind in types or (kind == "integer" and "number" in types)


_NO_LITERAL = (AttributeError, SyntaxError, ValueError, TypeError, RecursionError, MemoryError)
_ESCAPED = str.maketrans({"\r": "\\r", "\n": "\\n", "\0": "\\x00"})
# One without an end goes to the end of the text, so that none of its quotes is tried as a beginning.
_PYTHON_STRING = re.compile(
    r"""'[^'\\]*+(?:\\.[^'\\]*+)*+(?:'|\\?\Z)|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)""", re.DOTALL
)


def json_of_literal(text: str) -> str | None:
    """Return the JSON of a Python literal; None if the text is none."""
    if not text or len(text) > _LONGEST_PYTHON:
        return None
    try:
        return json.dumps(_evaluate(ast.parse(text, mode="eval").body), ensure_ascii=False, allow_nan=False)
    except _NO_LITERAL:
        return None


class _Constants(ast.NodeTransformer):
    """Makes JSON's constants of their names, and lists of sets, which JSON does not have."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_JSON_NAMES[node.id]) if node.id in _JSON_NAMES else node

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        pairs = zip(node.keys, node.values, strict=True)
        members = {(ast.unparse(key).strip("'\""), ast.dump(value)) for key, value in pairs if key}
        if len(dict(members)) < len(members):
            raise ValueError("a key comes twice with two values")
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Set(self, node: ast.Set) -> ast.expr:
        return self.generic_visit(ast.List(node.elts, ast.Load()))  # type: ignore[return-value]


def _evaluate(node: ast.expr) -> Any:  # noqa: ANN401 - any literal
    return ast.literal_eval(_Constants().visit(node))


def write_python_arguments(text: str, schema: ParameterSchema) -> tuple[str | None, tuple[RepairName, ...]]:
    """Return the JSON of the arguments of a Python call, None if they are not literals; and the repairs."""
    if len(text) > _LONGEST_PYTHON:
        return None, ()
    names = list(dict_of(dict(schema or {}), "properties"))
    tries: tuple[tuple[RepairName, ...], ...] = ((), ("raw_control",))
    for repairs in tries:
        # A string may go over several lines.
        source = _PYTHON_STRING.sub(lambda string: string[0].translate(_ESCAPED), text) if repairs else text
        with suppress(*_NO_LITERAL):
            call: Any = ast.parse(f"f({source})", mode="eval").body
            pairs = [(name, _evaluate(value)) for name, value in zip(names, call.args, strict=False)]
            for keyword in call.keywords:
                value = _evaluate(keyword.value)
                pairs += [(keyword.arg, value)] if keyword.arg else value.items()
            found = dict(pairs)
            if len(call.args) <= len(names) and all(found[name] == value for name, value in pairs):
                return json.dumps(found, ensure_ascii=False, allow_nan=False), repairs
    return None, ()
