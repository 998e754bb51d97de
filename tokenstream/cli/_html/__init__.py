"""The page of `inspect --html`: one HTML file that shows an answer, to read or to send with a report.

Everything that the server sent reaches the page through `markup`, which escapes it.
"""

from __future__ import annotations

from tokenstream.cli._html.command import write_page

__all__ = ["write_page"]
