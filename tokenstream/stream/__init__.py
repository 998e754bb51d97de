"""Streams and their views, which a program reads answers with, and what several readers share."""

# No module below this one loops over a source, waits, reads a clock or closes anything.

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream._values.origin import Origin as Origin
    from tokenstream.stream._async import AsyncStream as AsyncStream
    from tokenstream.stream._fan_out.merge import merge as merge
    from tokenstream.stream._job import Job as Job
    from tokenstream.stream._sync import Stream as Stream
    from tokenstream.stream._tap.tap import tap as tap
    from tokenstream.stream._views.shaped_view import AsyncPartialsView as AsyncPartialsView
    from tokenstream.stream._views.shaped_view import PartialsView as PartialsView
    from tokenstream.stream._views.text_view import AsyncTextView as AsyncTextView
    from tokenstream.stream._views.text_view import TextView as TextView
    from tokenstream.stream._views.view import AsyncView as AsyncView
    from tokenstream.stream._views.view import View as View

# Loaded on first access: a program without an event loop needs nothing of the asynchronous half.
_HOMES = {
    **dict.fromkeys(("AsyncPartialsView", "PartialsView"), "_views.shaped_view"),
    "AsyncStream": "_async",
    **dict.fromkeys(("AsyncTextView", "TextView"), "_views.text_view"),
    **dict.fromkeys(("AsyncView", "View"), "_views.view"),
    "Job": "_job",
    "Origin": "._values.origin",
    "Stream": "_sync",
    "merge": "_fan_out.merge",
    "tap": "_tap.tap",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
