"""Messages back to providers: the turns of the assistant and the tools, as an API's next request has them."""

from tokenstream.turns._drop import Drop, Kind
from tokenstream.turns._results import ToolResults

__all__ = ["Drop", "Kind", "ToolResults"]
