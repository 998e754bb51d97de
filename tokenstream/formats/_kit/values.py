"""Convert values: base64, JSON, token counts, words to finish reasons, halves of surrogate pairs."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from pydantic import BaseModel
from pydantic_core import to_json

from tokenstream._basics.untrusted import (
    count_of,
    dict_of,
    dicts_of,
    fields_except,
    is_dict,
    is_encodable,
    is_list,
    text_of,
)
from tokenstream._values.parts import make_usage
from tokenstream.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream._basics.loose import JsonObject, RuleNote
    from tokenstream.message import FinishReason, Usage

TO_STANDARD = str.maketrans("-_", "+/")
"""Translates base64 in the URL-safe alphabet to the standard one."""
_SNAKE = re.compile("_([a-z])")
CUT_SHORT: frozenset[str] = frozenset({"length", "content_filter", "refusal", "error", "cancelled"})
WHOLE: frozenset[str] = frozenset({"stop", "stop_sequence", "tool_calls", "pause"})
_WORST: tuple[tuple[FinishReason, ...], ...] = (
    ("error",),
    ("cancelled",),
    ("content_filter", "refusal"),
    ("length",),
    ("unknown",),
)
_RANKS = {reason: rank for rank, reasons in enumerate(_WORST) for reason in reasons}
"""Finish reasons from the worst on; those of a whole answer are all alike."""

Mark: TypeAlias = "tuple[FinishReason, str | None]"
"""A finish reason, and the provider's word for it."""
ReasonsOfWords: TypeAlias = "dict[str, FinishReason]"
"""Maps a provider's words to finish reasons."""
_ReadingT = TypeVar("_ReadingT")
_ValueT = TypeVar("_ValueT")
ReadersOf: TypeAlias = "dict[str, Callable[[_ReadingT, JsonObject], object]]"
"""The methods of a class, each of which reads one kind of object, under the names of the kinds."""


def split_names(text: str) -> frozenset[str]:
    """Return the names in a text, as the names of fields that an API has."""
    return frozenset(text.split())


def reasons_of(**words: str) -> ReasonsOfWords:
    """Map the words of each text to the finish reason that the text is given for."""
    return {word: cast("FinishReason", reason) for reason, text in words.items() for word in text.split()}


def camel_case(name: str) -> str:
    """Return a field's name in camelCase, as on the wire; SDKs and proxies use snake_case."""
    return _SNAKE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def base64_bytes(encoded: object) -> bytes | None:
    r"""Decode base64 in either alphabet, padded or not; return None for any other value."""
    if not isinstance(encoded, str):
        return None
    is_url_safe = "-" in encoded or "_" in encoded
    text = encoded.translate(TO_STANDARD) if is_url_safe else encoded
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


def json_text(value: object, what: str = "the arguments of a tool call") -> str:
    """Return a value as JSON text, or raise a `ProtocolError` that names `what`, in the plural."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        # Only payloads created in Python can fail here: the decoder checked the depth of JSON.
        raise ProtocolError(f"{what} are nested too deeply, or are not JSON values") from None


def fragment_text(value: object, note: RuleNote) -> str | None:
    """Return a piece of a call's arguments as text, also one sent as a JSON value; None if it is neither."""
    if is_dict(value) or is_list(value):
        note("arguments_parsed")
        return json_text(value)
    return value if isinstance(value, str) else None


def fields_of_call(call: JsonObject) -> JsonObject:
    """Return the fields of a call, and of the `function` in it, but not those that each call has."""
    function = fields_except(dict_of(call, "function"), "name", "arguments")
    return {**(fields_except(call, "id", "type", "function") or {}), **(function or {})}


def spellings_of(value: object) -> list[str]:
    """Return the JSON texts that servers usually write for a value: with and without spaces and escapes.

    The caller compares them with the beginning of the text that a server has sent so far.
    """
    spaced = json_text(value)
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return [spaced, compact, json.dumps(value), json.dumps(value, separators=(",", ":"))]


def scalar_text(value: object) -> str | None:
    """Return a number or a boolean as JSON text; None for any other value."""
    return json_text(value, "numbers") if isinstance(value, int | float) else None


def failure_text(content: object, word: str = "the tool has failed") -> str:
    """Return the description of a tool's failure that its result contains."""
    if isinstance(content, str):
        return content or word
    if is_dict(content):
        return text_of(content, "message", "error_message", "error", "text", "output") or word
    return "\n".join(text_of(each, "text") or "" for each in dicts_of(content)).strip() or word


def failure_of_code(result: JsonObject) -> str | None:
    """Return the description of a failure in the result of code or of a tool; None if it has succeeded.

    The response of a tool has its error under "error", as in the responses of functions.
    """
    error = dict_of(result, "response").get("error")
    if error and isinstance(error, str | dict | list):
        return failure_text(cast("Any", error))
    outcome = text_of(result, "outcome")
    if outcome in (None, "OUTCOME_OK", "OUTCOME_UNSPECIFIED"):
        return None
    return text_of(result, "output") or outcome


def counts_in(payload: JsonObject, names: Mapping[str, str]) -> Usage | None:
    """Return the token counts among a payload's fields, or None if the payload has no counts."""
    report = {name: payload[name] for name in names if count_of(payload, name) is not None}
    counts: JsonObject = {names[name]: count_of(report, name) for name in report}
    return make_usage(report, **counts) if report else None


def marks_in(
    meanings: Mapping[str, FinishReason], *words: str | None, other: FinishReason | None = None
) -> list[Mark]:
    """Return the marks that words stand for; one without a meaning, such as "queued", is `other`, or none."""
    marks = list[Mark]()
    for word in filter(None, words):
        reason = meanings.get(word) or other
        if reason is not None:
            marks.append((reason, word))
    return marks


def worst_of(marks: Sequence[Mark], note: RuleNote) -> Mark:
    """Return the worst mark of an answer's end, the first of equals; a contradiction is a departure."""
    ranks = set(map(_rank_of, marks))
    # A reason that is not known goes with any other than one of a whole answer.
    if len(ranks - {_RANKS["unknown"]}) > 1 or ranks == {_RANKS["unknown"], len(_WORST)}:
        note("finish_contradicted")
    return min(marks, key=_rank_of)


def is_worse(reason: FinishReason, than: FinishReason) -> bool:
    """Return True if a finish reason is known, and worse than another one."""
    return reason != "unknown" and _rank_of((reason, None)) < _rank_of((than, None))


def _rank_of(mark: Mark) -> int:
    return _RANKS.get(mark[0], len(_WORST))


def may_hold_halves(value: object) -> bool:
    """Return True if a text in a payload may have half of a surrogate pair; such a payload is not UTF-8."""
    try:
        # The whole payload is looked through in C, which takes a tenth of the time of `mend_surrogates`.
        to_json(value)
    except ValueError:
        return True
    return False


def mend_surrogates(value: _ValueT) -> _ValueT:
    """Return a value with halves of surrogate pairs replaced in all its texts; UTF-8 cannot encode them."""
    mended: Any = value
    if isinstance(value, str):
        if not (value.isascii() or is_encodable(value)):
            # Two halves are joined; U+FFFD replaces each that has no partner.
            mended = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    elif is_dict(value):
        mended = {mend_surrogates(key): mend_surrogates(inner) for key, inner in value.items()}
    elif is_list(value):
        mended = [mend_surrogates(inner) for inner in value]
    elif isinstance(value, BaseModel):
        mended = value.model_copy(update={name: mend_surrogates(inner) for name, inner in value})
    return cast("_ValueT", mended)
