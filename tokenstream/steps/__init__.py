"""Runs of agents: a growing tree of steps, and all their events for a user interface."""

from __future__ import annotations

from tokenstream.steps._events import RunEvents
from tokenstream.steps._run import Steps
from tokenstream.steps._step import Step

__all__ = ["RunEvents", "Step", "Steps"]
