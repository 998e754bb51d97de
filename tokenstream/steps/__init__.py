"""Runs of agents: a tree of steps that grows, and all that is said in them as events for an interface."""

from __future__ import annotations

from tokenstream.steps._events import RunEvents
from tokenstream.steps._run import Steps
from tokenstream.steps._step import Step

__all__ = ["RunEvents", "Step", "Steps"]
