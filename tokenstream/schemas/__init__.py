"""JSON schemas for requests: tools and the form of an answer, by each API's rules."""

from tokenstream.schemas._response_format import ResponseFormat, response_format
from tokenstream.schemas._tools import Tools

__all__ = ["ResponseFormat", "Tools", "response_format"]
