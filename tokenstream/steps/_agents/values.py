"""Values that several agents print in the same manner: texts in blocks, counts beside a cache, arguments."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dicts_of, text_of
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.steps._step import Step


def text_in(content: Json) -> str | None:
    r"""Return the text of a tool's result, which may be a text or a list of blocks.

    Example:
        >>> text_in("a"), text_in([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), text_in([])
        ('a', 'a\nb', None)
    """
    if isinstance(content, str):
        return content
    texts = [text_of(block, "text") for block in dicts_of(content)]
    return "\n".join([text for text in texts if text]) or None


def plan_of(tasks: Json) -> dict[str, Json]:
    """Return the news of a step with a plan, as `Step.update` takes it.

    Example:
        >>> plan_of([{"content": "test", "status": "pending", "id": "1"}])
        {'type': 'plan', 'entries': [{'content': 'test', 'status': 'pending'}]}
    """
    known = ("content", "status", "priority")
    entries: Json = [{name: task[name] for name in known if name in task} for task in dicts_of(tasks)]
    return {"type": "plan", "entries": entries}


def with_cache(usage: Usage | None) -> Usage:
    """Return counts whose input has what was cached, which some agents leave out of it.

    Args:
        usage: The counts as the agent gives them; None if it gives none.

    Example:
        >>> with_cache(Usage(input_tokens=5, cached_tokens=2)).input_tokens
        7
    """
    if usage is None or usage.input_tokens is None:
        return usage or Usage()
    whole = usage.input_tokens + (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    return usage.model_copy(update={"input_tokens": whole})


def change_arguments(step: Step, arguments: Json, title: str | None = None) -> None:
    """Give a step the arguments of its call, which may follow the beginning of the call.

    Args:
        step: The step of the call.
        arguments: The arguments.
        title: A title for the call; None if the agent gives none.
    """
    text = dumps(arguments)
    if step.cause is not None and text != step.cause.arguments_text:
        step.cause = step.cause.model_copy(update={"arguments_text": text})
        step.update({"type": "call", "title": title, "arguments": arguments})
