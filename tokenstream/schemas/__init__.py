"""JSON schemas for requests, of tools and of answers, as each API supports them."""

from tokenstream.schemas._response_format import ResponseFormat, response_format
from tokenstream.schemas._tools import Tools

__all__ = ["ResponseFormat", "Tools", "response_format"]
