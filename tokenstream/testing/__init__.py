"""Tools for testing streaming code: recordings, replay, scripts, faults, servers.

Example:
    >>> from tokenstream import testing
    >>> answer = testing.script().text("Hello").finish("stop")
    >>> [answer.stream(name).final().text for name in ("openai-chat", "anthropic")]
    ['Hello', 'Hello']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream.testing import faults as faults
    from tokenstream.testing._check.assert_stream import aassert_stream as aassert_stream
    from tokenstream.testing._check.assert_stream import assert_stream as assert_stream
    from tokenstream.testing._check.check_format import check_format as check_format
    from tokenstream.testing._faults.matrix import every_cut as every_cut
    from tokenstream.testing._faults.matrix import fault_matrix as fault_matrix
    from tokenstream.testing._record.record import record as record
    from tokenstream.testing._recordings.cassette import load_cassette as load_cassette
    from tokenstream.testing._recordings.clock import VirtualClock as VirtualClock
    from tokenstream.testing._recordings.file_format import RecordingInvalid as RecordingInvalid
    from tokenstream.testing._recordings.recording import Arrival as Arrival
    from tokenstream.testing._recordings.recording import Recording as Recording
    from tokenstream.testing._recordings.replay import Seed as Seed
    from tokenstream.testing._script import Script as Script
    from tokenstream.testing._script import all_formats as all_formats
    from tokenstream.testing._script import script as script
    from tokenstream.testing._serve.replies import Request as Request
    from tokenstream.testing._serve.serve import Server as Server
    from tokenstream.testing._serve.serve import serve as serve
    from tokenstream.testing._serve.transport import Transport as Transport
    from tokenstream.testing._serve.transport import transport as transport

# Each name is imported on first use, so that a test pays only for the tools that it uses.
_HOMES = {
    "Arrival": "_recordings.recording",
    "Recording": "_recordings.recording",
    "RecordingInvalid": "_recordings.file_format",
    "Request": "_serve.replies",
    "Script": "_script",
    "Seed": "_recordings.replay",
    "Server": "_serve.serve",
    "Transport": "_serve.transport",
    "VirtualClock": "_recordings.clock",
    "aassert_stream": "_check.assert_stream",
    "all_formats": "_script",
    "assert_stream": "_check.assert_stream",
    "check_format": "_check.check_format",
    "every_cut": "_faults.matrix",
    "fault_matrix": "_faults.matrix",
    "faults": "faults",
    "load_cassette": "_recordings.cassette",
    "record": "_record.record",
    "script": "_script",
    "serve": "_serve.serve",
    "transport": "_serve.transport",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
