"""The error for input that ended before the answer did."""

from __future__ import annotations

from tokenstream._basics.error_marks import EMPTY_INPUT_HINT, add_code_hint
from tokenstream.errors import StreamTruncated


def truncation_error(frames: int, open_calls: int) -> StreamTruncated:
    """Return the error for input that ended before the answer did.

    Args:
        frames: Number of frames that arrived.
        open_calls: Number of tool calls that had not ended.
    """
    if not frames:
        return add_code_hint(StreamTruncated("the input ended without a single event"), EMPTY_INPUT_HINT)
    # "s" * True is a plural "s".
    inside = f", inside {open_calls} tool call{'s' * (open_calls != 1)}" if open_calls else ""
    return StreamTruncated(
        f"the input ended after {frames} frame{'s' * (frames != 1)}{inside}, "
        "before the end of the answer; what had arrived is in .partial"
    )
