"""Wire formats: frames in, events out; one module each."""

from __future__ import annotations

from tokenstream.formats.bare_text import text
from tokenstream.formats.base import Format, Frame
from tokenstream.formats.custom_mapping import custom

__all__ = ["Format", "Frame", "custom", "text"]
