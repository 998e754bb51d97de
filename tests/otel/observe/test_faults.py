"""`observe`: what it refuses and loads, and what fails in OpenTelemetry, which never disturbs the loop."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor

from tests.otel.backend import Backend
from tests.otel.observe.support import DURATION, replayed
from tokenstream import testing
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.otel import observe


class Raises(SpanProcessor):
    """Fails at the start or at the end of each span."""

    def __init__(self, place: str, error: BaseException) -> None:
        self._place, self._error = place, error

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self._place == "start":
            raise self._error

    def on_end(self, span: Any) -> None:
        if self._place == "end":
            raise self._error


@pytest.mark.parametrize("place", ["start", "end"])
def test_what_fails_in_opentelemetry_never_reaches_the_loop(
    backend: Backend, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend.tracers.add_span_processor(Raises(place, ValueError("my secret")))

    assert "Hello" == observe(replayed(), **backend.takes).final().text
    assert ["OpenTelemetry failed: ValueError; the stream is not disturbed"] == caplog.messages
    assert [1] == [point.count for point in backend.points(DURATION)]


def test_an_instrument_that_raises_never_reaches_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def get_meter(self, *_: object, **__: object) -> Any:
            raise RuntimeError

    broken: Any = Broken()
    with pytest.raises(StreamTruncated):
        observe(replayed(fault=testing.faults.cut(event=3)), meter_provider=broken).final()

    assert ["OpenTelemetry failed: RuntimeError; the stream is not disturbed"] == caplog.messages


def test_ctrl_c_within_opentelemetry_goes_through(backend: Backend) -> None:
    backend.tracers.add_span_processor(Raises("end", KeyboardInterrupt()))
    stream = observe(replayed(), **backend.takes)

    with pytest.raises(KeyboardInterrupt):
        stream.final()
    assert ("Hello", "complete") == (stream.final().text, stream.message.ending)
    assert 1 == len(backend.spans)


def test_nothing_of_opentelemetry_runs_while_the_answer_is_read(backend: Backend) -> None:
    """Locks and exporters of OpenTelemetry cannot slow a delta down."""
    backend.tracers.add_span_processor(Raises("start", KeyboardInterrupt()))
    with observe(replayed(), **backend.takes) as stream:
        pieces = stream.text

        assert ["Hel", "lo"] == [next(pieces), next(pieces)]
        assert [] == backend.metrics()
        with pytest.raises(KeyboardInterrupt):
            stream.final()


def test_only_a_stream_that_is_to_be_read_is_observed(backend: Backend) -> None:
    ended, no_stream = replayed(), list[bytes]()
    ended.final()
    refused: Any = no_stream

    with pytest.raises(MisuseError, match="observe a stream before it is read"):
        observe(ended)
    with observe(replayed(), **backend.takes) as twice, pytest.raises(MisuseError, match="observed already"):
        observe(twice)
    with pytest.raises(MisuseError, match="a stream, a tap or a run, and not list"):
        observe(refused)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """opentelemetry-api is loaded by the first call, and nothing of its SDK ever."""
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    with replayed() as stream, pytest.raises(MisuseError, match=r'pip install "opentelemetry-api>=\d'):
        observe(stream)


@pytest.mark.slow
def test_importing_loads_no_opentelemetry() -> None:
    """Who does not observe pays nothing."""
    code = "import sys, tokenstream.otel; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_without_a_provider_nothing_is_recorded() -> None:
    """The API's own stand-ins take what is told."""
    assert "Hello" == observe(replayed()).final().text
