"""Runs of hosted agents: what a user sees of them, and recordings cut at every event."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

from tokenstream import Steps
from tokenstream.errors import StreamTruncated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.steps import Step


def follow(events: Iterable[Any]) -> Steps:
    """Follow some events to their end, whether the last turn ends with them or is cut; return the run."""
    given = list(events)
    with Steps() as run:
        followed, seen = run.follow(given), list[Any]()
        # A turn without its end is an error after all the events.
        with suppress(StreamTruncated):
            seen.extend(followed)
    assert all(one is other for one, other in zip(seen, given, strict=True))
    return run


def objects_of(union: Any, events: list[dict[str, Any]]) -> list[Any]:
    """Return the SDK's objects for some events, of the class of a union that has their type."""
    models = {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(union)}
    return [models[event["type"]].model_validate(event) for event in events]


def tree(step: Step | Steps) -> list[Any]:
    """Return the steps below a step: their names, states, texts and what is below them."""
    return [(each.name, each.state, each.text, tree(each)) for each in step.steps]
