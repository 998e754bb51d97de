"""The exception with which a tool reports a failure to the model."""

from __future__ import annotations


class ToolFailed(Exception):
    """Raised by a tool to report a failure to the model; the run goes on.

    The exception's text becomes the result of the call, and the call's id is added to
    `ToolResults.errors`. Any other exception that a tool raises ends the run.

    Example:
        >>> from tokenstream import Router
        >>> @Router().tool
        ... def get_weather(city: str) -> str:
        ...     raise ToolFailed(f"There is no station in {city}. Ask for the next larger city.")
    """
