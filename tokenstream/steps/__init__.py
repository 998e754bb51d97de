"""Runs of agents: a run is a growing tree of steps; all its events can be read by a user interface."""

from __future__ import annotations

from tokenstream.steps._attach import aattach, attach
from tokenstream.steps._events import RunEvents
from tokenstream.steps._peer.asynchronous import AsyncPeer
from tokenstream.steps._peer.sync import Peer
from tokenstream.steps._run import Steps
from tokenstream.steps._step import Step
from tokenstream.steps._turn import Turn

__all__ = ["AsyncPeer", "Peer", "RunEvents", "Step", "Steps", "Turn", "aattach", "attach"]
