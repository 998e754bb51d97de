"""Messages back to providers: the assistant's turn in the shape of an API's next request, and the tools'."""

from tokenstream.turns._drop import Drop, Kind
from tokenstream.turns._results import ToolResults

__all__ = ["Drop", "Kind", "ToolResults"]
