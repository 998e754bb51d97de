"""The requested type of an answer, as each API's request expresses it."""

from __future__ import annotations

import json
import re
from typing import Any

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.schemas._build import describe_type
from tokenstream.schemas._rules import (
    ANTHROPIC_STRICT,
    COHERE_STRICT,
    GEMINI,
    MISTRAL_STRICT,
    OPENAI_STRICT,
    PLAIN,
    Rules,
    SchemaRefused,
)

_MOST_NAME = 64
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")


@show_members
class ResponseFormat:
    """The requested type of an answer, written for the request of each API.

    Args:
        name: The name of the type in requests, for APIs that want one.
        title: The type's own name, for error messages.
        description: The purpose of the type, for the model.
        schema: The type's JSON schema.
    """

    __slots__ = ("_description", "_name", "_schema", "_title")

    def __init__(self, name: str, title: str, description: str, schema: dict[str, Any]) -> None:
        self._name = name
        self._title = title
        self._description = description
        self._schema = schema

    def __repr__(self) -> str:
        return f"<ResponseFormat {self._title}>"

    def to_openai_chat(self, *, strict: bool = True) -> dict[str, Any]:
        """Return a dict with the key `response_format`, for a request to OpenAI Chat Completions.

        Args:
            strict: True makes the API enforce the schema; the model then writes every
                field, even one with a default.

        Raises:
            MisuseError: The type is not an object, or has a field that OpenAI's strict mode
                does not support.
        """
        spec = self._write_named(OPENAI_STRICT if strict else PLAIN, "OpenAI", {"strict": strict})
        return {"response_format": {"type": "json_schema", "json_schema": spec}}

    def to_openai_responses(self, *, strict: bool = True) -> dict[str, Any]:
        """Return a dict with the key `text`, for a request to OpenAI Responses.

        Args:
            strict: True makes the API enforce the schema; the model then writes every
                field, even one with a default.

        Raises:
            MisuseError: The type is not an object, or has a field that OpenAI's strict mode
                does not support.
        """
        spec = self._write_named(OPENAI_STRICT if strict else PLAIN, "OpenAI", {"strict": strict})
        return {"text": {"format": {"type": "json_schema", **spec}}}

    def to_anthropic(self) -> dict[str, Any]:
        """Return a dict with the key `output_config`, for a request to Anthropic Messages.

        Raises:
            MisuseError: The type has a field that Anthropic does not support.
        """
        schema = self._write_schema(ANTHROPIC_STRICT)
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}

    def to_gemini(self) -> dict[str, Any]:
        """Return a dict with the key `generationConfig`, for a request to Gemini."""
        spec = {"responseMimeType": "application/json", "responseJsonSchema": self._write_schema(GEMINI)}
        return {"generationConfig": spec}

    def to_bedrock(self) -> dict[str, Any]:
        """Return a dict with the key `outputConfig`, for a request to Bedrock Converse.

        Only some models support this key.

        Raises:
            MisuseError: The type is not an object, or has a field that the API does not support.
        """
        spec = self._write_named(ANTHROPIC_STRICT, "Bedrock", {})
        # Unlike the other APIs, this one takes the schema as text.
        spec["schema"] = json.dumps(spec["schema"], ensure_ascii=False)
        return {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": spec}}}}

    def to_cohere(self) -> dict[str, Any]:
        """Return a dict with the key `response_format`, for a request to Cohere's v2 chat API.

        The API does not allow tools in the same request.

        Raises:
            MisuseError: The type is not an object, has no required field, or has a field that
                Cohere does not support.
        """
        schema = self._write_object(COHERE_STRICT, "Cohere")
        return {"response_format": {"type": "json_object", "json_schema": schema}}

    def to_mistral(self, *, strict: bool = True) -> dict[str, Any]:
        """Return a dict with the key `response_format`, for a request to Mistral's native chat API.

        Args:
            strict: True makes the API enforce the schema.

        Raises:
            MisuseError: The type is not an object, or has a field that Mistral's strict mode
                does not support.
        """
        spec = self._write_named(MISTRAL_STRICT if strict else PLAIN, "Mistral", {"strict": strict})
        return {"response_format": {"type": "json_schema", "json_schema": spec}}

    def to_ollama(self) -> dict[str, Any]:
        """Return a dict with the key `format`, for a request to Ollama's native chat API."""
        return {"format": self._write_schema(PLAIN)}

    # -- within ------------------------------------------------------------

    def _write_named(self, rules: Rules, api: str, more: dict[str, Any]) -> dict[str, Any]:
        """Return an object with the type's name, its description, its converted schema, and further keys.

        Args:
            api: The API's name, for error messages.
        """
        spec = {"description": self._description} if self._description else {}
        return {"name": self._name, **spec, "schema": self._write_object(rules, api), **more}

    def _write_object(self, rules: Rules, api: str) -> dict[str, Any]:
        """Return the schema, converted for an API that answers only with objects.

        Args:
            api: The API's name, for the error message.

        Raises:
            MisuseError: The type is not an object, or the rules do not allow its schema.
        """
        if self._schema.get("type") != "object":
            raise MisuseError(
                f"{self._title} is not an object, and {api} answers only with objects: make it a field "
                "of a model, and read that with at= or as the model"
            )
        return self._write_schema(rules)

    def _write_schema(self, rules: Rules) -> dict[str, Any]:
        """Return the schema, converted to the part of JSON Schema that an API supports.

        Raises:
            MisuseError: The schema cannot be converted; the message names the type.
        """
        try:
            return rules.apply(self._schema)
        except SchemaRefused as refused:
            raise MisuseError(
                f"{_describe_refusal(self._title, refused)}; describe it more precisely in the type, or pass "
                "the type as a tool that is not strict and read its call with tool=…"
            ) from None


def response_format(type: Any, *, name: str | None = None) -> ResponseFormat:  # noqa: A002, ANN401 - any type
    """Describe the type of an answer; the result has a method per API that returns the request's options.

    Pass the same type to `stream.partials`, `stream.result` and similar methods.

    Args:
        type: A pydantic model, dataclass, TypedDict, msgspec Struct, or a `TypeAdapter`.
        name: The name in the request; by default, the type's own name.

    Raises:
        MisuseError: The type has no JSON schema; the message names the field.

    Example:
        >>> from pydantic import BaseModel
        >>> class City(BaseModel):
        ...     name: str
        >>> response_format(City).to_ollama()["format"]["properties"]
        {'name': {'type': 'string'}}
        >>> request = {"model": "example-model", "stream": True, **response_format(City).to_openai_chat()}
    """
    title = Schema[Any].of(type).title
    try:
        description, schema = describe_type(type)
    except SchemaRefused as refused:
        raise MisuseError(_describe_refusal(title, refused)) from refused.__cause__
    # APIs limit the characters and the length of a name.
    allowed_name = _NOT_ALLOWED.sub("_", title if name is None else name)[:_MOST_NAME]
    return ResponseFormat(allowed_name or "answer", title, description, schema)


def _describe_refusal(title: str, refused: SchemaRefused) -> str:
    """Return the beginning of an error message: the field or the type that has no schema, and the reason."""
    return (
        f"the field {refused.path!r} of {title} {refused.why}" if refused.path else f"{title} {refused.why}"
    )
