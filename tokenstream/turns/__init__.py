"""Messages for the next request: an answer and the results of its tool calls, in the form of each API."""

from tokenstream.turns._results import ToolResults

__all__ = ["ToolResults"]
