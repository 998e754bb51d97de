"""A run as a small tree of text, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.message import Usage
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

__all__ = ["described", "drawn"]


def drawn(run: Steps) -> str:
    """Return a run with all its steps, a line each."""
    head = " ".join([one_line(run.name or "run"), *_figures(run.state, run.seconds, run.total_usage)])
    return "\n".join([head, *_lines(run.steps, "")])


def described(step: Step) -> str:
    """Return a step in a line."""
    words = [one_line(step.name)]
    if step.agent is not None and (step.parent is None or step.parent.agent != step.agent):
        words.append(f"({one_line(step.agent)})")
    if step.cause is not None:
        words.append(f"[{one_line(step.cause.id)}]")
    words += _figures(step.state, step.seconds, step.total_usage)
    if step.error is not None:
        words.append(f"- {one_line(step.error)}")
    return " ".join(words)


def _lines(steps: tuple[Step, ...], indent: str) -> Iterator[str]:
    for step in steps:
        last = step is steps[-1]
        yield f"{indent}{'└─ ' if last else '├─ '}{described(step)}"
        yield from _lines(step.steps, indent + ("   " if last else "│  "))


def _figures(state: str, seconds: float, usage: Usage | None) -> list[str]:
    figures = [state, f"{seconds:.1f} s"]
    if usage is not None and usage.output_tokens is not None:
        figures.append(f"{usage.input_tokens or 0:,} + {usage.output_tokens:,} tokens")
    return figures
