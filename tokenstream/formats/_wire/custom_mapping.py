"""Define a format for a simple server, in one call with paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.formats._custom.mapping import (
    Mapped,
    check_event_names,
    check_reasons,
    check_retryable,
    check_sentinel,
    compile_conditions,
    compile_paths,
    compile_usage_paths,
)
from tokenstream.formats._custom.paths import Path, compile_path
from tokenstream.formats._custom.reader import Custom

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tokenstream.message import FinishReason

__all__ = ["Custom", "custom"]


def custom(
    *,
    text: str | Sequence[str],
    reasoning: str | Sequence[str] | None = None,
    finish: str | None = None,
    finish_reasons: Mapping[str, FinishReason | None] | None = None,
    id: str | None = None,
    model: str | None = None,
    usage: Mapping[str, str] | None = None,
    error: str | None = None,
    retryable: Mapping[str, bool] | None = None,
    event: str | Collection[str] | None = None,
    where: Mapping[str, Any] | None = None,
    end: str | Collection[str] | None = None,
    sentinel: str | None = None,
) -> Custom:
    r"""Return a format for a simple server, to be passed as `format=`.

    A path is a series of keys and list indexes separated by dots, such as
    `"choices.0.text"`; `"*"` means every item of a list, and `"$"` the whole payload.
    The answer is over at `end`, at `sentinel`, or with its finish reason. If a
    mapping has none of these, the end of the input is the end of the answer.

    Args:
        text: Path to the text; of several paths, the first that leads to text
            is used. `""` means that the data themselves are the text, and not JSON.
        reasoning: Path to the model's reasoning; None if there is none.
        finish: Path to the finish reason; null, false, 0 and "" do not count, unless
            `finish_reasons` has "false" or "0". None if there is none.
        finish_reasons: Maps further words of the server to finish reasons, or to
            None for a word that does not mean the end, such as `"not_finished"`.
        id: Path to the answer's id; None if there is none.
        model: Path to the model's name; None if there is none.
        usage: Maps names of counts in `Usage` to the paths of the counts; None if there are none.
        error: Path to an error; the usual places are searched, too. None to search only those.
        retryable: Maps an error's code or type to True if a retry may help, else to
            False; for codes and types that this library does not know.
        event: Names of the SSE events that contain text and reasoning; all by default.
        where: Maps paths to the values that a payload must have there if its text
            and reasoning are to be read.
        end: Names of the SSE events that mark the end; None for no such event.
        sentinel: Data that mark the end, such as `"[DONE]"`; None if none do.

    Raises:
        MisuseError: An option has a wrong type or value.

    Example:
        >>> from tokenstream import Stream
        >>> body = [b'data: {"result": {"delta": "Hi"}}\n\n', b'data: {"result": {"stop": "done"}}\n\n']
        >>> Stream(body, format=custom(text="result.delta", finish="result.stop")).final().text
        'Hi'
    """
    is_bare_text = isinstance(text, str) and not text
    if is_bare_text and (reasoning or where):
        msg = (
            'text="" means that the data themselves are the text, so no path leads anywhere in them: '
            "leave reasoning= and where= out, or name the paths of JSON data"
        )
        raise MisuseError(msg)
    text_paths = () if is_bare_text else compile_paths("text", text)
    if not is_bare_text and not text_paths:
        # `text` is required: for a value such as None, `compile_path` raises the error.
        text_paths = (compile_path("text", text),)
    mapped = Mapped(
        text=text_paths,
        bare=is_bare_text,
        reasoning=compile_paths("reasoning", reasoning),
        finish=_compile_or_none("finish", finish),
        reasons=check_reasons(finish_reasons),
        id=_compile_or_none("id", id),
        model=_compile_or_none("model", model),
        usage=compile_usage_paths(usage),
        error=_compile_or_none("error", error),
        retryable=check_retryable(retryable),
        events=check_event_names("event", event),
        where=compile_conditions(where),
        ends=check_event_names("end", end) or frozenset(),
        sentinel=check_sentinel(sentinel),
    )
    return Custom(mapped)


def _compile_or_none(option: str, path: str | None) -> Path | None:
    """Return the path that an option's value describes; None if the option is not used."""
    return None if path is None else compile_path(option, path)
