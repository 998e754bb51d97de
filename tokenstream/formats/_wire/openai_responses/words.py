"""Translate the Responses API's statuses, errors, token counts, citations and arguments."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    fields_except,
    int_of,
    is_dict,
    is_list,
    says_nothing,
    text_of,
)
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.openai import PHASES, PROVIDERS_REASONS, RESPONSE_REASONS
from tokenstream.formats._kit.values import base64_bytes, failure_text, marks_in, split_names
from tokenstream.message import Citation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream._values.parts import Phase
    from tokenstream.errors import ProviderError
    from tokenstream.formats._kit.values import Mark

FINAL_STATUSES = split_names("completed incomplete failed cancelled")
END_WORDS = FINAL_STATUSES | {"done"}
"""Words of the events that end a response; gateways send `response.done` without a status of its own."""


RETRYABLE: Mapping[str, bool] = MappingProxyType(
    {
        # The connection has reached its age limit of an hour; a new one accepts the same request.
        "websocket_connection_limit_reached": True,
        **dict.fromkeys(
            split_names(
                "bio_policy cyber_policy data_residency_mismatch empty_image_file "
                "failed_to_download_image image_content_policy_violation image_file_not_found "
                "image_file_too_large image_parse_error image_too_large image_too_small "
                "invalid_base64_image invalid_image invalid_image_format invalid_image_mode "
                "invalid_image_url misalignment_policy_violation unsupported_image_media_type"
            ),
            False,
        ),
    }
)
"""Maps error codes to True if a retry may help; the codes whose words already show that are left out."""

_ARGUMENT_FIELDS: dict[str, str] = {
    "apply_patch_call": "operation",
    "code_interpreter_call": "code",
    "computer_call": "action actions",
    "custom_tool_call": "input",
    "file_search_call": "queries",
    "local_shell_call": "action",
    "program": "code",
    "shell_call": "action",
    "web_search_call": "action",
}
"""Maps types of items to the possible fields with the tool's arguments, if these are not `arguments`."""
_RESULT_FIELDS: dict[str, str] = {
    "code_interpreter_call": "outputs",
    "file_search_call": "results",
    "mcp_call": "output error",
}
"""Maps types of items to the possible fields with the tool's result, if the call's item contains it."""


def marks_of(response: JsonObject, word: str) -> list[Mark]:
    """Return the marks of a response's end: status, kind of the last event, details, error."""
    words = [each for each in (text_of(response, "status"), word) if each in FINAL_STATUSES]
    if words == ["incomplete", "completed"]:
        # Quirk (vLLM 0.32, 2026-11): an answer at its limit ends with this event, and its status is right.
        words.pop()
    details = text_of(dict_of(response, "incomplete_details"), "reason")
    marks = marks_in(RESPONSE_REASONS, *words)
    if details is not None or "incomplete" in words:
        reason = RESPONSE_REASONS.get(details or "", "unknown")
        marks.append((reason, "incomplete" if "incomplete" in words else details))
    # Quirk (bifrost, 2026): no status, and the reason as in a chat completion (maximhq/bifrost#4679).
    marks += marks_in(PROVIDERS_REASONS, text_of(response, "stop_reason"))
    if not says_nothing(response.get("error")):
        marks.append(("error", words[0] if words else None))
    return marks


# `response.steer.…` since openai 3.57.0, and `response.inject.…` in its beta (2026-11).
_INPUT_EVENTS = ("response.steer.", "response.inject.")
"""The beginnings of the names of events about input that was sent while a response is written."""


def is_about_input(kind: str) -> bool:
    """Return whether an event is about a client's input, whose refusal does not end the response."""
    return kind.startswith(_INPUT_EVENTS)


def error_of(payload: JsonObject, event: str) -> ProviderError | None:
    """Return the error in a payload; None if there is none.

    The error may be nested, in the field `error`, or flat, as the fields of the payload itself.
    """
    details: object = payload.get("error")
    if not details and payload.get("type") == "error":
        # In a flat error, `type` is the type of the event, and not of the error.
        details = fields_except(payload, "type", "sequence_number")
    return provider_error({**payload, "error": details} if details else payload, event)


def custom_tools_in(tools: list[JsonObject]) -> dict[str, None] | None:
    """Return the names of the tools that take free text; None if some may be left out of the list."""
    listed = [*tools, *(each for tool in tools for each in dicts_of(tool.get("tools")))]
    # A search finds further tools.
    if any(tool.get("type") == "tool_search" for tool in listed):
        return None
    return {text_of(tool, "name") or "": None for tool in listed if tool.get("type") == "custom"}


def citation_of(data: JsonObject, cites: int) -> Citation:
    return Citation(
        url=text_of(data, "url"),
        title=text_of(data, "title", "filename"),
        start=int_of(data, "start_index", "index"),
        end=int_of(data, "end_index"),
        cites=cites,
        provider_data=data,
    )


def data_of(item: JsonObject, *without: str) -> JsonObject | None:
    """Return the fields of an item for `provider_data`, but not its type or "in_progress"; or None."""
    fields = fields_except(item, "type", *without)
    if fields and fields.get("status") == "in_progress":
        del fields["status"]
    return fields


def phase_of(fields: JsonObject) -> Phase | None:
    """Return the phase that all texts of a message item are in; None if the item names no known phase."""
    return PHASES.get(text_of(fields, "phase") or "")


def arguments_of(item: JsonObject, item_type: str) -> object:
    """Return the arguments in the item of a call, usually text or an object; None if there are none.

    Arguments that are a list become an object with the name of the list's field.
    """
    name, value = _first_nonempty(item, _ARGUMENT_FIELDS.get(item_type, "arguments"))
    return {name: value} if is_list(value) else value


def result_of(item: JsonObject, item_type: str) -> object:
    """Return the result in the item of a call, if a call of this type contains its result; else None."""
    return _first_nonempty(item, _RESULT_FIELDS.get(item_type, ""))[1]


def failure_in(item: JsonObject) -> str | None:
    """Return the description of a tool's failure in the item with its result; None if it has succeeded."""
    error, status = item.get("error"), text_of(item, "status")
    if not says_nothing(error):
        return failure_text(error)
    return status if status in ("failed", "incomplete") else None


def _first_nonempty(item: JsonObject, names: str) -> tuple[str, object]:
    for name in names.split():
        value = item.get(name)
        if not says_nothing(value):
            return name, value
    return "", None


def media_of(text: str) -> bytes | None:
    r"""Decode media sent as base64 or as a data URL; None if they are not base64."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    return base64_bytes(text)


def arguments_text(value: object) -> str:
    """Return a call's arguments as text: a string unchanged, an object as JSON, anything else as ""."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if is_dict(value) else ""
