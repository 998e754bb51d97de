"""JSON schemas that a request contains: of its tools, and of the answer it asks for.

Each API supports a different part of JSON Schema, so the schemas are converted for each of them.
"""

from tokenstream.schemas._in_request import Tools, response_format

__all__ = ["Tools", "response_format"]
