"""A format made of paths: one line for a simple server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.formats._custom import Custom
from tokenstream.formats._mapping import (
    Mapped,
    names_of,
    paths_of,
    reasons_of,
    retryable_of,
    sentinel_of,
    usage_paths_of,
    where_of,
)
from tokenstream.formats._paths import Path, path_of

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
    r"""Return the format of a simple server, to be passed as `format=`.

    A path is keys and list indexes with dots between them, such as
    `"choices.0.text"`; `"*"` is every item of a list, `"$"` the whole payload.
    The answer is over at `end`, at `sentinel`, or with its finish reason; where a
    mapping has none of these, the end of the input is the end of the answer.

    Args:
        text: Where the text is; of several paths the first that leads to text
            counts. `""` means the data themselves, which are no JSON.
        reasoning: Where the model's reasoning is.
        finish: Where the finish reason is; null, false and "" are none.
        finish_reasons: What the server's words for it mean, beside the usual
            ones; None for a word that is no end, such as `"not_finished"`.
        id: Where the answer's id is.
        model: Where the model's name is.
        usage: Where token counts are, by the names of `Usage`.
        error: Where an error is; the usual places are looked at anyway.
        retryable: Whether asking again may help after an error, by its code or
            type, where the usual words do not tell.
        event: Names of the SSE events that hold text and reasoning; of any name by default.
        where: What a payload must say to hold text and reasoning: values by path.
        end: Names of the SSE events that are the end.
        sentinel: Data that are the end, such as `"[DONE]"`.

    Raises:
        MisuseError: An option is not what it must be.

    Example:
        >>> from tokenstream import Stream
        >>> body = [b'data: {"result": {"delta": "Hi"}}\n\n', b'data: {"result": {"stop": "done"}}\n\n']
        >>> Stream(body, format=custom(text="result.delta", finish="result.stop")).final().text
        'Hi'
    """
    bare = isinstance(text, str) and not text
    if bare and (reasoning or where):
        msg = (
            'text="" means that the data are the text as they stand, so no path leads anywhere in them: '
            "leave reasoning= and where= out, or name the paths of JSON data"
        )
        raise MisuseError(msg)
    mapped = Mapped(
        text=() if bare else paths_of("text", text) or (path_of("text", text),),
        bare=bare,
        reasoning=paths_of("reasoning", reasoning),
        finish=_path("finish", finish),
        reasons=reasons_of(finish_reasons),
        id=_path("id", id),
        model=_path("model", model),
        usage=usage_paths_of(usage),
        error=_path("error", error),
        retryable=retryable_of(retryable),
        events=names_of("event", event),
        where=where_of(where),
        ends=names_of("end", end) or frozenset(),
        sentinel=sentinel_of(sentinel),
    )
    return Custom(mapped)


def _path(option: str, path: str | None) -> Path | None:
    return None if path is None else path_of(option, path)
