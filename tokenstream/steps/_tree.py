"""Functions that draw a run as a tree of text lines, for a terminal."""

from __future__ import annotations

from contextlib import suppress
from json import dumps
from typing import TYPE_CHECKING

from tokenstream._basics.json import decode, says_no_arguments
from tokenstream._basics.untrusted import is_dict
from tokenstream._basics.visible import one_line
from tokenstream.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.message import ToolCall, Usage
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_LONGEST = 60
"""Number of characters of a call's arguments that a line has."""
_LONGEST_PARSED = 2_000
"""Number of characters up to which arguments are parsed; longer ones are shown as they came."""


def draw_run(run: Steps) -> str:
    """Return a drawing of a run with all its steps, one line each."""
    first_line = " ".join(
        [one_line(run.name or "run"), *_describe_figures(run.state, run.seconds, run.total_usage)]
    )
    return "\n".join([first_line, *_draw_lines(run.steps)])


def describe_step(step: Step) -> str:
    """Return a line that describes a step: name, arguments, agent, state, duration, tokens and error.

    An agent that is also the parent step's is left out. A tool that is running has its last progress in place
    of an error.
    """
    words = [one_line(step.name)]
    if step.cause is not None and (arguments := draw_arguments(step.cause)):
        words.append(arguments)
    if step.agent is not None and (step.parent is None or step.parent.agent != step.agent):
        words.append(f"({one_line(step.agent)})")
    words += _describe_figures(step.state, step.seconds, step.total_usage)
    if step.error is not None:
        words.append(f"- {one_line(step.error)}")
    elif step.ended is None and (progress := step.progress):
        words.append(f"- {_describe_progress(progress[-1])}")
    return " ".join(words)


def draw_arguments(call: ToolCall) -> str:
    """Return the arguments of a tool's call in one line, and the end of a long one as "…".

    Example:
        >>> from tokenstream import ToolCall
        >>> draw_arguments(ToolCall(id="c", name="shell", arguments_text='{"command": "ls -l"}'))
        'command="ls -l"'
    """
    text = (call.arguments_text or "").strip()
    if says_no_arguments(text):
        return ""
    arguments: object = None
    if len(text) <= _LONGEST_PARSED:
        with suppress(ProtocolError):
            arguments = decode(text)
    if not is_dict(arguments):
        return _fit_row(text)
    return _fit_row(
        " ".join(f"{name}={dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
    )


def _describe_progress(output: object) -> str:
    """Return a value that a tool has shown in one line; a value that is no JSON is the name of its class."""
    if isinstance(output, str):
        return _fit_row(output)
    try:
        return _fit_row(dumps(output, ensure_ascii=False, default=lambda value: type(value).__name__))
    except (ValueError, TypeError, RecursionError):
        return type(output).__name__


def _fit_row(text: str) -> str:
    """Return a text in one line, of at most 60 characters."""
    line = one_line(text[: 2 * _LONGEST])
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def tokens_of(usage: Usage) -> str:
    """Return the counts of input and output tokens as text: "?" is unknown, and "~" begins an estimate."""
    input_count, output_count = (
        "?" if count is None else f"{count:,}" for count in (usage.input_tokens, usage.output_tokens)
    )
    return f"{input_count} + {'~' if usage.basis == 'estimated' else ''}{output_count} tokens"


def _draw_lines(steps: tuple[Step, ...]) -> Iterator[str]:
    # Not recursive: runs may nest deeper than Python's recursion limit.
    waiting = [*_draw_branches(steps, indent="")]
    while waiting:
        step, branch, indent = waiting.pop()
        yield branch + describe_step(step)
        waiting.extend(_draw_branches(step.steps, indent))


def _draw_branches(steps: tuple[Step, ...], indent: str) -> Iterator[tuple[Step, str, str]]:
    """Yield sibling steps, the last first, as for a stack, with branch and indentation of each."""
    for step in reversed(steps):
        is_last = step is steps[-1]
        yield step, f"{indent}{'└─ ' if is_last else '├─ '}", indent + ("   " if is_last else "│  ")


def _describe_figures(state: str, seconds: float, usage: Usage) -> list[str]:
    figures = [state, f"{seconds:.1f} s"]
    if usage.output_tokens is not None:
        figures.append(tokens_of(usage))
    return figures
