"""The part of JSON Schema that each API supports, and the conversion of schemas to it.

A schema is made from a type of the program. Some APIs enforce it, but support
only a part of JSON Schema. If an API has no keyword for a constraint, such as a
minimum, the constraint is added to the description, where the model can read it. If
a schema would lose its meaning that way, as an object with arbitrary keys would, it is
refused. Validation of the answer still checks every constraint.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._basics.untrusted import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._basics.loose import Json, JsonObject

_BASIC = frozenset(
    {"$ref", "anyOf", "const", "description", "enum", "items", "properties", "required", "type"}
)
_CLOSED = _BASIC | {"additionalProperties"}
_TYPE_KEYWORDS = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "type"})
"""Keywords that give a value a type; a schema with a type has at least one of them."""
_MASKED = f'"{"*" * 10}"'
"""pydantic's placeholder for a secret; a model would take it for the value."""
_SILENT = frozenset({"additionalProperties", "discriminator", "title"})
"""Keywords that are left out silently if an API does not support them, since they tell a model nothing."""
_SCHEMAS_BY_NAME = frozenset({"patternProperties", "properties"})
_ONE_SCHEMA = frozenset({"additionalProperties", "contentSchema", "propertyNames"})
_SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_FORMATS = frozenset({"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"})
_LOOKAROUND = ("(?=", "(?!", "(?<=", "(?<!")


class SchemaRefused(Exception):
    """Raised for a schema that cannot be converted to the part of JSON Schema that an API supports.

    Args:
        path: The path of the field, such as `steps[].title`; "" for the whole schema.
        why: The rest of the error message, which follows the field's name, such as "has no type".
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why


class Rules(NamedTuple):
    """The part of JSON Schema that an API supports."""

    name: str
    """The name of the API or of its mode, for error messages."""
    keywords: frozenset[str] | None = None
    """The supported keywords; None for all."""
    formats: frozenset[str] | None = None
    """The supported values of `format`; None for all."""
    closed: bool = False
    """True if every object must name all its keys, and every value must have a type."""
    complete: bool = False
    """True if every property must be required."""
    limits_min_items: bool = False
    """True if the only values allowed for `minItems` are 0 and 1."""
    inline: bool = False
    """True if each reference must be replaced by its definition, unless the definition is recursive."""
    some_required: bool = False
    """True if at least one property must be required."""

    def apply(self, schema: JsonObject) -> JsonObject:
        written = _SchemaWriter(self, schema.get("$defs", {})).write(schema)
        if self.some_required and not written.get("required"):
            raise SchemaRefused("", f"has no required field, and {self.name} asks for one")
        return written

    def supports(self, key: str, value: object) -> bool:
        """Return True if the API supports a keyword with this value."""
        if self.keywords is None:
            # The API supports every keyword.
            return True
        if key not in self.keywords:
            return False
        if key == "format":
            return self.formats is None or value in self.formats
        if key == "pattern":
            # The APIs that support only some keywords refuse look-arounds.
            return not any(lookaround in str(value) for lookaround in _LOOKAROUND)
        if key == "minItems" and self.limits_min_items:
            # Such an API accepts no other number.
            return value in (0, 1)
        return True


PLAIN = Rules("JSON Schema")
OPENAI_STRICT = Rules(
    "OpenAI's strict mode",
    keywords=_CLOSED
    | {"exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maximum"}
    | {"minItems", "minimum", "multipleOf", "pattern"},
    formats=_FORMATS,
    closed=True,
    complete=True,
)
ANTHROPIC_STRICT = Rules(
    "Anthropic's strict mode",
    keywords=_CLOSED | {"allOf", "format", "minItems"},
    formats=_FORMATS | {"uri"},
    closed=True,
    limits_min_items=True,
)
MISTRAL_STRICT = Rules("Mistral's strict mode", closed=True)
COHERE_STRICT = Rules(
    "Cohere's strict_tools",
    keywords=_CLOSED | {"format", "pattern"},
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    closed=True,
    some_required=True,
)
GEMINI = Rules(
    "Gemini",
    keywords=(_CLOSED - {"const"})
    | {"format", "maxItems", "maximum", "minItems", "minimum", "oneOf", "prefixItems"},
)
OLLAMA = Rules("Ollama", keywords=_BASIC - {"const"}, inline=True)


class _SchemaWriter:
    """Converts one schema to the rules of an API.

    Args:
        definitions: The schema's definitions (`$defs`), by name.
    """

    def __init__(self, rules: Rules, definitions: JsonObject) -> None:
        self._rules = rules
        self._definitions = definitions
        self._written: JsonObject = {}
        """The converted definitions to which references in the result point, by name."""
        self._inlining: list[str] = []
        """Names of the definitions that are being inlined, the outermost first."""
        self._recursive = _find_recursive(definitions) if definitions else frozenset[str]()

    def write(self, schema: JsonObject) -> JsonObject:
        """Return the converted schema, together with the definitions to which it still refers."""
        written = self._write_node({key: value for key, value in schema.items() if key != "$defs"}, path="")
        return {**written, "$defs": self._written} if self._written else written

    def _write_node(self, part: object, path: str) -> Json:
        """Return a part of the schema (`True`, too, is one, for any value), converted to the API's rules."""
        schema: JsonObject = part if is_dict(part) else {}
        rules = self._rules
        if not _is_writable(schema.get("default")):
            # A default that JSON cannot express, or a masked secret, is left out.
            schema = {key: value for key, value in schema.items() if key != "default"}
        if "$ref" in schema:
            return self._write_reference(schema, path)
        if rules.keywords is not None:
            schema = self._keep_supported_keywords(schema)
        if rules.closed:
            # An API that wants objects without further keys (below) also wants every value to have a type.
            _refuse_untyped(schema, path, rules)
        written: JsonObject = {key: self._write_inner(key, value, path) for key, value in schema.items()}
        is_object = schema.get("type") == "object" or "properties" in schema
        if rules.closed and is_object:
            # The API wants each object to say that it has no further keys.
            written.setdefault("properties", {})
            written["additionalProperties"] = False
            if rules.complete:
                # Some of these APIs also want all keys to be required.
                written["required"] = list(written["properties"])
        return written

    def _write_inner(self, key: str, value: object, path: str) -> Json:
        if key in _SCHEMAS_BY_NAME and is_dict(value):
            return {
                name: self._write_node(each, f"{path}.{name}".lstrip(".")) for name, each in value.items()
            }
        if key in _SCHEMA_LISTS and is_list(value):
            return [self._write_node(each, path) for each in value]
        if key == "items" and not isinstance(value, bool):
            return self._write_node(value, f"{path}[]")
        if key in _ONE_SCHEMA and is_dict(value):
            return self._write_node(value, f"{path}.*".lstrip("."))
        # The caller may modify the result.
        return copy.deepcopy(value)

    def _write_reference(self, schema: JsonObject, path: str) -> JsonObject:
        """Return the converted form of a schema with `$ref`: a reference, or its inlined definition."""
        name = definition_name(schema["$ref"])
        if name not in self._definitions:
            # The reference was written by hand, and refers to something else.
            return copy.deepcopy(schema)
        other_keywords = {key: copy.deepcopy(value) for key, value in schema.items() if key != "$ref"}
        if self._rules.inline and not self._must_stay_reference(name, self._inlining):
            self._inlining.append(name)
            inlined = self._write_node({**self._definitions[name], **other_keywords}, path)
            self._inlining.pop()
            return dict(inlined)
        if name not in self._written:
            # The name is entered before its definition is complete, since the definition may be recursive.
            self._written[name] = {}
            self._written[name] = self._write_node(self._definitions[name], path)
        reference = {"$ref": schema["$ref"]}
        if not other_keywords or self._rules.keywords is None:
            return {**reference, **other_keywords}
        # These APIs accept no other keyword beside a reference.
        return self._keep_supported_keywords({"anyOf": [reference], **other_keywords})

    def _keep_supported_keywords(self, schema: JsonObject) -> JsonObject:
        """Return a schema with only supported keywords.

        `const` and `oneOf` are replaced by similar keywords; others that tell the model something are added
        to the schema's description.
        """
        rules = self._rules
        supported: JsonObject = {}
        description: JsonObject = {}
        for key, value in schema.items():
            if rules.supports(key, value):
                supported[key] = value
            elif key == "const":
                supported["enum"] = [value]
            elif key == "oneOf":
                supported["anyOf"] = value
            elif _is_informative(key, value, schema):
                description[key] = self._spell_out(value)
        if description:
            words = "; ".join(
                f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in description.items()
            )
            supported["description"] = f"{supported.get('description', '')} ({words})".lstrip()
        return supported

    def _must_stay_reference(self, name: str, enclosing: Sequence[str]) -> bool:
        """Return True if a definition must not be inlined, because inlining it might never end.

        That is a recursive definition inside of another one, or of itself: definitions that refer to each
        other would be inlined in each other again and again.
        """
        return name in self._recursive and any(each in self._recursive for each in enclosing)

    def _spell_out(self, value: object, enclosing: tuple[str, ...] = ()) -> Json:
        """Return part of a schema with each reference replaced by its definition.

        The result becomes part of a description, in which the model could not look up a reference.
        """
        if is_list(value):
            return [self._spell_out(each, enclosing) for each in value]
        if not is_dict(value):
            return value
        reference = value.get("$ref")
        name = definition_name(reference) if isinstance(reference, str) else ""
        if name in self._definitions:
            if self._must_stay_reference(name, enclosing):
                # There is nothing to refer to: the rest of a recursive definition is left out.
                return {}
            return self._spell_out(self._definitions[name], (*enclosing, name))
        return {key: self._spell_out(each, enclosing) for key, each in value.items() if key != "title"}


def _find_recursive(definitions: JsonObject) -> frozenset[str]:
    """Return the names of the definitions that refer to themselves, directly or through others."""
    references = {
        name: _find_referenced_names(each) & definitions.keys() for name, each in definitions.items()
    }
    recursive: set[str] = set()
    for name in definitions:
        reachable: set[str] = set()
        unvisited = set(references[name])
        while unvisited:
            reachable |= unvisited
            unvisited = set[str]().union(*(references[each] for each in unvisited)) - reachable
        if name in reachable:
            recursive.add(name)
    return frozenset(recursive)


def _find_referenced_names(schema: object) -> set[str]:
    if is_list(schema):
        return set[str]().union(*map(_find_referenced_names, schema))
    if not is_dict(schema):
        return set()
    reference = schema.get("$ref")
    names = {definition_name(reference)} if isinstance(reference, str) else set[str]()
    return names.union(*map(_find_referenced_names, schema.values()))


def _is_informative(key: str, value: object, schema: JsonObject) -> bool:
    """Return True if a keyword that an API does not support belongs in the model's description."""
    if key == "default":
        # Beside a constant, the default is that constant.
        return value is not None and "const" not in schema
    if key == "additionalProperties":
        # A schema of further keys means something to the model; True, False and {} do not.
        return is_dict(value) and bool(value)
    return key not in _SILENT


def definition_name(reference: str) -> str:
    return reference.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _is_writable(default: object) -> bool:
    """Return True if a default can be written as JSON and contains no masked secret."""
    try:
        text = json.dumps(default, allow_nan=False)
    except ValueError:
        return False
    return _MASKED not in text


def _refuse_untyped(schema: JsonObject, path: str, rules: Rules) -> None:
    """Check that a schema says the type of every value, as some APIs require."""
    if not _TYPE_KEYWORDS & schema.keys():
        raise SchemaRefused(path, f"has no type, and {rules.name} asks for one")
    kind = schema.get("type")
    additional = schema.get("additionalProperties", False)
    if kind == "object" and (additional is not False or "patternProperties" in schema):
        raise SchemaRefused(path, f"is an object of any keys, and {rules.name} asks for their names")
    if kind == "array" and not is_dict(schema.get("items")):
        raise SchemaRefused(
            path, f"is an array whose elements have no type in common, and {rules.name} asks for one"
        )
