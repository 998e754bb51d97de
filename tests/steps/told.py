"""What a user sees of a run, to compare two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream import Steps
    from tokenstream.steps import Step


def told(run: Steps) -> Any:
    """Return all that a user sees of a run, without its times."""
    return (
        run.agent,
        run.session,
        [(turn.state, turn.error, turn.result, turn.usage, turn.cost, turn.session) for turn in run.turns],
        [_told(step) for step in run.steps],
        run.total_usage,
    )


def _told(step: Step) -> Any:
    cause = None if step.cause is None else (step.cause.id, step.cause.name, step.cause.arguments_text)
    return (
        step.name,
        step.agent,
        step.state,
        step.error,
        step.result,
        step.output,
        step.updates,
        cause,
        [message.model_dump() for message in step.messages],
        [_told(each) for each in step.steps],
    )
