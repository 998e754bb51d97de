"""`observe`: a span and metrics of an answer, taken by OpenTelemetry's own SDK in memory."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode

from tests.otel.backend import Backend
from tests.project import PYPROJECT
from tests.support.packages import needed
from tokenstream import AsyncStream, Deadlines, Retry, Stream, aconnect, connect, resilient, tap, testing
from tokenstream.errors import MisuseError, StatusError, StreamError, StreamTruncated
from tokenstream.otel import observe
from tokenstream.testing._serve.server import ReplayServer, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

ANSWER = (
    testing.script(id="chatcmpl-1", model="m-2026-01-01")
    .pause(0.5)
    .reasoning("Hm.")
    .pause(0.25)
    .text("Hel")
    .pause(0.125)
    .text("lo")
    .usage(input_tokens=41, output_tokens=23, cached_tokens=16, reasoning_tokens=5)
    .finish()
)
CHAT = "/v1/chat/completions"
DURATION = "gen_ai.client.operation.duration"
FIRST = "gen_ai.client.operation.time_to_first_chunk"
GAP = "gen_ai.client.operation.time_per_output_chunk"
TOKENS = "gen_ai.client.token.usage"


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    """Answer or refuse, by the path."""
    whole = Reply(chunks=[(0.0, chunk) for chunk in ANSWER.chunks("openai-chat")])
    refused = Reply(chunks=[(0.0, b'{"error": {"message": "my secret"}}')], status=429)
    with ReplayServer({CHAT: whole, "/busy" + CHAT: refused}) as server:
        yield server


def _replayed(script: testing.Script = ANSWER, format: str = "openai-chat", **options: Any) -> Stream:
    return script.stream(format, pace="recorded", started_at=0.0, **options)


# -- metrics -----------------------------------------------------------------


def test_each_metric_has_its_name_unit_and_buckets(backend: Backend) -> None:
    """They are those of the GenAI conventions, as opentelemetry-semantic-conventions has them."""
    observe(_replayed(), **backend.takes).final()
    names = needed("opentelemetry.semconv._incubating.metrics.gen_ai_metrics")
    seconds = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    counts = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

    assert {
        names.GEN_AI_CLIENT_OPERATION_DURATION: ("s", seconds),
        names.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK: ("s", seconds),
        names.GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK: ("s", seconds),
        names.GEN_AI_CLIENT_TOKEN_USAGE: ("{token}", counts),
    } == {
        metric.name: (metric.unit, tuple(metric.data.data_points[0].explicit_bounds))
        for metric in backend.metrics()
    }


def test_the_times_are_those_of_the_stream(backend: Backend) -> None:
    """A chunk is one that has text, reasoning, a refusal or arguments; each after the first has its gap."""
    stream = observe(_replayed(), **backend.takes)
    stream.final()

    assert [(1, 0.875)] == [(point.count, point.sum) for point in backend.points(DURATION)]
    assert [(1, 0.5)] == [(point.count, point.sum) for point in backend.points(FIRST)]
    assert [(2, 0.375, 0.125, 0.25)] == [
        (point.count, point.sum, point.min, point.max) for point in backend.points(GAP)
    ]
    assert stream.metrics.ttft == 0.5


def test_tokens_are_counted_by_type(backend: Backend) -> None:
    """Input and output are two series of one metric."""
    observe(_replayed(), **backend.takes).final()

    assert {"input": (1, 41), "output": (1, 23)} == {
        point.attributes["gen_ai.token.type"]: (point.count, point.sum) for point in backend.points(TOKENS)
    }


def test_input_tokens_contain_the_cached_ones(backend: Backend) -> None:
    """The conventions ask for all of them, and Anthropic's own count leaves those out."""
    observe(_replayed(format="anthropic"), **backend.takes).final()

    assert backend.span.attributes is not None
    assert backend.span.attributes["gen_ai.usage.input_tokens"] == 41 + 16


def test_what_was_not_reported_is_not_told(backend: Backend) -> None:
    """No count is made up."""
    observe(_replayed(testing.script().text("Hello").finish()), **backend.takes).final()

    assert [] == backend.points(TOKENS)
    assert backend.span.attributes is not None
    assert not [name for name in backend.span.attributes if name.startswith("gen_ai.usage")]


def test_of_an_answer_that_was_stopped_only_the_requests_tokens_are_told(backend: Backend) -> None:
    """What the answer came to is estimated then, and an estimate is no count."""
    with observe(_replayed(format="anthropic"), **backend.takes) as stream:
        next(stream.text)
        stream.stop()
    usage = stream.message.usage

    assert usage is not None
    assert "estimated" == usage.source
    assert [] == [
        point for point in backend.points(TOKENS) if point.attributes["gen_ai.token.type"] != "input"
    ]
    assert "gen_ai.usage.output_tokens" not in (backend.span.attributes or {})


def test_a_response_that_was_wrapped_has_no_time_to_its_first_chunk(backend: Backend) -> None:
    """Nobody knows when its request went out; `started_at` says so."""
    observe(ANSWER.stream(), **backend.takes).final()

    assert [] == backend.points(FIRST)
    assert 1 == len(backend.points(DURATION))


def test_the_time_of_each_chunk_may_be_left_out(backend: Backend) -> None:
    """It is what costs most, and `stream.metrics.gaps` has it, too."""
    stream = observe(_replayed(), each_chunk=False, **backend.takes)
    stream.final()

    assert ([], 1) == (backend.points(GAP), len(backend.points(FIRST)))
    assert 0.25 == stream.metrics.gaps.max


def test_many_streams_share_their_histograms(backend: Backend) -> None:
    """To add up over many streams is what a histogram is for."""
    for _ in range(3):
        observe(_replayed(), **backend.takes).final()

    assert [3] == [point.count for point in backend.points(DURATION)]
    assert [6] == [point.count for point in backend.points(GAP)]


# -- the span ----------------------------------------------------------------


def test_the_span_tells_what_was_asked_and_answered(backend: Backend, server: ReplayServer) -> None:
    """All names are those of the GenAI conventions, and nothing of the content is among the values."""
    payload = {
        "model": "m",
        "stream": True,
        "temperature": 1,
        "top_p": 0.5,
        "max_completion_tokens": 99,
        "stop": ["END"],
        "response_format": {"type": "json_object"},
        "messages": [{"role": "user", "content": "my secret"}],
    }
    with observe(connect(server.url + CHAT, json=payload), **backend.takes) as stream:
        stream.final()
    span = backend.span
    attributes = dict(span.attributes or {})
    first = attributes.pop("gen_ai.response.time_to_first_chunk")

    assert ("chat m", SpanKind.CLIENT, StatusCode.UNSET) == (span.name, span.kind, span.status.status_code)
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.output.type": "json",
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.model": "m",
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "m-2026-01-01",
        "gen_ai.usage.cache_read.input_tokens": 16,
        "gen_ai.usage.input_tokens": 41,
        "gen_ai.usage.output_tokens": 23,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
        "tokenstream.ending": "complete",
    } == attributes
    assert stream.metrics.ttft == first
    assert "secret" not in span.to_json()


def test_every_name_is_one_of_the_conventions(backend: Backend, server: ReplayServer) -> None:
    """Those with a prefix of our own aside."""
    with observe(connect(server.url + CHAT, json={"model": "m", "n": 2}), **backend.takes) as stream:
        stream.final()
    module = needed("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value for value in vars(module).values() if isinstance(value, str)}
    shared = {"error.type", "server.address", "server.port"}
    told = {*(backend.span.attributes or {})}

    assert set() == {name for name in told - shared if not name.startswith("tokenstream.")} - known


def test_the_span_covers_the_operation(backend: Backend) -> None:
    """It begins at the request and ends with the answer, though it is made at the end."""
    observe(_replayed(), **backend.takes).final()
    span = backend.span

    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == pytest.approx(875_000_000, abs=2)


def test_the_span_is_part_of_what_was_current(backend: Backend) -> None:
    """Its parent is the span around the call of `observe`, whatever is current where the loop runs."""
    tracer = trace.get_tracer("tests", tracer_provider=backend.tracers)
    with tracer.start_as_current_span("agent") as agent:
        stream = observe(_replayed(), **backend.takes)
    with tracer.start_as_current_span("elsewhere"):
        stream.final()
    chat = next(span for span in backend.spans if span.name == "chat")

    assert chat.parent is not None
    assert agent.get_span_context().span_id == chat.parent.span_id


def test_an_example_of_a_metric_leads_to_its_span(backend: Backend) -> None:
    """What is recorded is recorded within the span."""
    with trace.get_tracer("tests", tracer_provider=backend.tracers).start_as_current_span("agent"):
        observe(_replayed(), **backend.takes).final()
    (point,) = backend.points(DURATION)
    chat = next(span for span in backend.spans if span.name == "chat")

    assert chat.context is not None
    assert [chat.context.span_id] == [exemplar.span_id for exemplar in point.exemplars]


def test_the_caller_says_what_only_he_knows(backend: Backend) -> None:
    """Operation, provider, model and further attributes come first."""
    observe(
        _replayed(),
        operation="invoke_agent",
        provider="my.gateway",
        model="m",
        attributes={"gen_ai.conversation.id": "c1"},
        **backend.takes,
    ).final()
    told = backend.span.attributes or {}
    names = (
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.conversation.id",
    )

    assert ["invoke_agent", "my.gateway", "m", "c1"] == [told[name] for name in names]
    assert "invoke_agent m" == backend.span.name


# -- how it ends -------------------------------------------------------------


def test_a_refusal_is_told_by_its_status(backend: Backend, server: ReplayServer) -> None:
    """`error.type` is the status; the words of the error, which may quote the request, stay out."""
    with (
        pytest.raises(StatusError),
        observe(connect(server.url + "/busy" + CHAT, json={"model": "m"}), **backend.takes) as stream,
    ):
        stream.final()
    span = backend.span

    assert (StatusCode.ERROR, "StatusError") == (span.status.status_code, span.status.description)
    assert "429" == (span.attributes or {})["error.type"]
    assert ["429"] == [point.attributes["error.type"] for point in backend.points(DURATION)]
    assert "openai" == (span.attributes or {})["gen_ai.provider.name"]
    assert "secret" not in span.to_json()


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (testing.faults.cut(event=3), "StreamTruncated"),
        (testing.faults.stall(90, event=3), "StreamStalled"),
    ],
    ids=["truncated", "stalled"],
)
def test_an_answer_that_breaks_off_is_told_by_its_error(backend: Backend, fault: Any, name: str) -> None:
    """What had come is told as far as it came: the marks, and no count of tokens."""
    with pytest.raises(StreamError):
        observe(_replayed(fault=fault, deadlines=Deadlines(idle_bytes=30)), **backend.takes).final()
    told = backend.span.attributes or {}

    assert (name, "truncated") == (told["error.type"], told["tokenstream.ending"])
    assert StatusCode.ERROR == backend.span.status.status_code
    assert [name] == [point.attributes["error.type"] for point in backend.points(DURATION)]
    assert [1] == [point.count for point in backend.points(FIRST)]
    assert [] == backend.points(TOKENS)


def test_a_server_that_is_not_there_is_told(backend: Backend) -> None:
    """The operation was asked for, though no response came."""
    with (
        pytest.raises(StreamError),
        observe(connect("http://127.0.0.1:9/v1/messages", json={"model": "m"}), **backend.takes) as stream,
    ):
        stream.final()
    told = backend.span.attributes or {}

    assert ("ConnectError", "anthropic") == (told["error.type"], told["gen_ai.provider.name"])
    assert [] == backend.points(FIRST)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_an_answer_that_is_not_wanted_any_more_is_no_error(backend: Backend, how: str) -> None:
    """It is told when it is stopped or closed, once."""
    stream = observe(_replayed(), **backend.takes)
    next(stream.text)
    getattr(stream, how)()
    stream.close()
    told = backend.span.attributes or {}

    assert "stopped" == told["tokenstream.ending"]
    assert "error.type" not in told
    assert StatusCode.UNSET == backend.span.status.status_code


def test_an_answer_that_is_dropped_is_told_with_the_next_one(backend: Backend) -> None:
    """It may be collected anywhere, also where OpenTelemetry holds its locks, and so waits."""
    stream = observe(Stream([*ANSWER.chunks("openai-chat")], started_at=0.0), **backend.takes)
    next(stream.text)
    with pytest.warns(ResourceWarning, match="never closed"):
        del stream
        gc.collect()

    assert () == backend.spans
    observe(_replayed(), **backend.takes).close()
    assert "stopped" == (backend.span.attributes or {})["tokenstream.ending"]


def test_what_was_never_asked_for_is_not_told(backend: Backend) -> None:
    """A request that never went out is no operation."""
    observe(connect("http://127.0.0.1:9/v1/messages", json={}), **backend.takes).close()
    observe(connect("http://127.0.0.1:9/v1/messages", json={}), **backend.takes)
    gc.collect()
    observe(_replayed(), **backend.takes).final()

    assert 1 == len(backend.spans)


def test_attempts_are_one_operation(backend: Backend) -> None:
    """Those that failed are events of its span; the whole is one duration."""
    chunks = ANSWER.chunks("openai-chat")
    bodies = [chunks, chunks[:3]]
    with observe(resilient(bodies.pop, Retry(mode="restart", wait=0)), **backend.takes) as stream:
        stream.final()
    span = backend.span

    assert [("tokenstream.attempt", {"number": 1, "mode": "start", "error.type": "StreamTruncated"})] == [
        (event.name, dict(event.attributes or {})) for event in span.events
    ]
    assert (StatusCode.UNSET, 2) == (span.status.status_code, (span.attributes or {})["tokenstream.attempts"])
    assert all((span.start_time or 0) <= event.timestamp <= (span.end_time or 0) for event in span.events)
    assert [1] == [point.count for point in backend.points(DURATION)]


def test_a_request_that_is_made_again_tells_what_was_asked(backend: Backend, server: ReplayServer) -> None:
    """`connect` knows its payload with `retry=`, too."""
    asked = connect(server.url + CHAT, json={"model": "m", "seed": 7}, retry=Retry(wait=0))
    with observe(asked, **backend.takes) as stream:
        stream.final()
    told = backend.span.attributes or {}

    assert ("m", 7) == (told["gen_ai.request.model"], told["gen_ai.request.seed"])


@pytest.mark.anyio
async def test_an_asynchronous_stream_tells_the_same(backend: Backend, server: ReplayServer) -> None:
    """Nothing of it depends on the loop."""
    with observe(connect(server.url + CHAT, json={"model": "m"}), **backend.takes) as stream:
        stream.final()
    async with observe(aconnect(server.url + CHAT, json={"model": "m"}), **backend.takes) as other:
        await other.final()
    one, two = (
        {**(span.attributes or {}), "gen_ai.response.time_to_first_chunk": 0} for span in backend.spans
    )

    assert one == two


@pytest.mark.anyio
async def test_an_asynchronous_stream_that_fails_tells_it(backend: Backend) -> None:
    """As a synchronous one does."""
    stream: AsyncStream = ANSWER.astream(pace="recorded", started_at=0.0, fault=testing.faults.cut(event=3))
    with pytest.raises(StreamTruncated):
        await observe(stream, **backend.takes).final()

    assert "StreamTruncated" == (backend.span.attributes or {})["error.type"]


def test_a_tap_is_observed_beside_its_loop(backend: Backend) -> None:
    """The loop gets its own objects, and the span what passed."""
    tapped = observe(tap(ANSWER.chunks("openai-chat")), model="m", **backend.takes)
    for _ in tapped:
        pass
    told = backend.span.attributes or {}

    assert ("chat m", "complete") == (backend.span.name, told["tokenstream.ending"])
    assert 41 == told["gen_ai.usage.input_tokens"]


# -- what must not disturb the loop --------------------------------------------


class _Raises(SpanProcessor):
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
    """It is logged by its class, and the metrics are recorded all the same."""
    backend.tracers.add_span_processor(_Raises(place, ValueError("my secret")))

    assert "Hello" == observe(_replayed(), **backend.takes).final().text
    assert ["OpenTelemetry failed: ValueError; the stream is not disturbed"] == caplog.messages
    assert [1] == [point.count for point in backend.points(DURATION)]


def test_an_exporter_that_raises_never_reaches_the_loop(backend: Backend) -> None:
    """The SDK itself catches that."""

    class Broken(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise OSError

    backend.tracers.add_span_processor(SimpleSpanProcessor(Broken()))

    assert "Hello" == observe(_replayed(), **backend.takes).final().text
    assert 1 == len(backend.spans)


@pytest.mark.anyio
async def test_what_fails_in_opentelemetry_never_reaches_an_asynchronous_loop(backend: Backend) -> None:
    """Neither at the end of the answer nor where its task is cancelled."""
    backend.tracers.add_span_processor(_Raises("end", ValueError()))
    with anyio.move_on_after(0.05) as scope:
        async with observe(AsyncStream(_never_ending(), started_at=0.0), **backend.takes) as stream:
            await stream.final()

    assert scope.cancelled_caught
    assert "stopped" == (backend.span.attributes or {})["tokenstream.ending"]


async def _never_ending() -> AsyncIterator[bytes]:
    yield ANSWER.chunks("openai-chat")[0]
    await anyio.sleep_forever()


def test_an_instrument_that_raises_never_reaches_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    """Neither where it is made nor where something is recorded; the error that is on its way stays."""

    class Broken:
        def get_meter(self, *_: object, **__: object) -> Any:
            raise RuntimeError

    broken: Any = Broken()
    with pytest.raises(StreamTruncated):
        observe(_replayed(fault=testing.faults.cut(event=3)), meter_provider=broken).final()

    assert ["OpenTelemetry failed: RuntimeError; the stream is not disturbed"] == caplog.messages


def test_ctrl_c_within_opentelemetry_goes_through(backend: Backend) -> None:
    """It is meant for the program; the answer is there, and nothing is told twice."""
    backend.tracers.add_span_processor(_Raises("end", KeyboardInterrupt()))
    stream = observe(_replayed(), **backend.takes)

    with pytest.raises(KeyboardInterrupt):
        stream.final()
    assert ("Hello", "complete") == (stream.final().text, stream.message.ending)
    assert 1 == len(backend.spans)


def test_nothing_of_opentelemetry_runs_while_the_answer_is_read(backend: Backend) -> None:
    """Its locks and exporters cannot slow a delta down: all is told at the end."""
    backend.tracers.add_span_processor(_Raises("start", KeyboardInterrupt()))
    with observe(_replayed(), **backend.takes) as stream:
        pieces = stream.text

        assert ["Hel", "lo"] == [next(pieces), next(pieces)]
        assert [] == backend.metrics()
        with pytest.raises(KeyboardInterrupt):
            stream.final()


# -- misuse ------------------------------------------------------------------


def test_only_a_stream_that_is_to_be_read_is_observed(backend: Backend) -> None:
    """Each misuse says what to do instead."""
    ended, no_stream = _replayed(), list[bytes]()
    ended.final()
    refused: Any = no_stream

    with pytest.raises(MisuseError, match="observe a stream before it is read"):
        observe(ended)
    with observe(_replayed(), **backend.takes) as twice, pytest.raises(MisuseError, match="observed already"):
        observe(twice)
    with pytest.raises(MisuseError, match="a stream or a tap, and not list"):
        observe(refused)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """opentelemetry-api is loaded by the first call, and nothing of its SDK ever."""
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    with _replayed() as stream, pytest.raises(MisuseError, match=r'pip install "llm-tokenstream\[otel\]"'):
        observe(stream)


def test_importing_loads_no_opentelemetry() -> None:
    """Who does not observe pays nothing."""
    code = "import sys, tokenstream.otel; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_without_a_provider_nothing_is_recorded() -> None:
    """The API's own stand-ins take what is told."""
    assert "Hello" == observe(_replayed()).final().text


def test_the_extra_is_the_api_alone() -> None:
    """What exports is the application's to choose."""
    assert ["opentelemetry-api>=1.30"] == PYPROJECT["project"]["optional-dependencies"]["otel"]
