"""`doctor`'s judgement of an answer's bytes and their times."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs import doctor_page
from tests.project import ROOT
from tests.support.tables import in_one_test
from tokenstream._connection.head import ResponseHead
from tokenstream.cli._doctor import findings as _findings
from tokenstream.cli._doctor.findings import Diagnosis, Finding, judge
from tokenstream.cli._doctor.hops import HOPS
from tokenstream.cli._doctor.pacing import TimedChunk
from tokenstream.cli._doctor.probe import ProbedAnswer
from tokenstream.errors import StatusError, StreamInterrupted, StreamTruncated
from tokenstream.formats._detect.unknown import describe_unknown_body

if TYPE_CHECKING:
    from collections.abc import Sequence

_SSE = {"content-type": "text/event-stream", "cache-control": "no-cache, no-transform"}
_STEADY = [TimedChunk(0.5 + number * 0.05, 200, 1) for number in range(60)]
_WHOLE = [TimedChunk(3.0, 9_000, 40)]
_BURSTS = [TimedChunk(float(number), 4_096, 14) for number in range(1, 6)]


def _probe(
    arrivals: Sequence[TimedChunk], headers: dict[str, str] | None = None, **changes: Any
) -> ProbedAnswer:
    fields: dict[str, Any] = {
        "coding": "identity",
        "head": ResponseHead(status=200, headers={**_SSE, **(headers or {})}),
        "version": "HTTP/1.1",
        "head_at": 0.1,
        "arrivals": arrivals,
        "ended_at": arrivals[-1].at if arrivals else 0.1,
        "kind": "sse",
    }
    return ProbedAnswer(**{**fields, **changes})


def _names(diagnosis: Diagnosis) -> list[str]:
    return [finding.name for finding in diagnosis.findings]


def _finding(diagnosis: Diagnosis, name: str) -> Finding:
    (found,) = [finding for finding in diagnosis.findings if finding.name == name]
    return found


def _cut(
    seconds: float, headers: dict[str, str] | None = None, *, arrivals: Sequence[TimedChunk] = _STEADY
) -> Finding:
    """Return the finding on a connection that breaks after so many seconds."""
    error = StreamInterrupted("the connection broke")
    answer = _probe(arrivals, headers, ended="broken", ended_at=seconds, error=error)
    return _finding(judge([answer]), "cut")


def test_events_one_after_the_other_stream() -> None:
    diagnosis = judge([_probe(_STEADY)])

    assert ("streams", (), ()) == (diagnosis.verdict, diagnosis.findings, diagnosis.hops)
    assert "60 events came at 60 moments within 2.95 s, the first after 0.50 s" == diagnosis.reason


def test_events_of_an_unknown_format_are_judged_whatever_the_message_says() -> None:
    """The error is recognised by its attributes, not by its sentence."""
    error = describe_unknown_body("unknown", "odd")
    error.args = ("other words",)
    diagnosis = judge([_probe(_STEADY, error=error)])

    assert ("streams", ["unknown_format"]) == (diagnosis.verdict, _names(diagnosis))


def test_all_at_the_end_is_held_back() -> None:
    """The head that was there early shows that the server had begun."""
    diagnosis = judge([_probe(_WHOLE)])

    assert ("does not stream", ["held_back"]) == (diagnosis.verdict, _names(diagnosis))
    assert "all 40 events came at once, after 3.00 s; the head was there after 0.10 s" == diagnosis.reason


def test_bursts_name_the_size_of_the_buffer() -> None:
    assert "in bursts of about 4 KiB, the size of a buffer" in judge([_probe(_BURSTS)]).reason


def test_what_to_change_is_that_of_the_hop_that_the_response_names() -> None:
    diagnosis = judge([_probe(_BURSTS, {"server": "nginx/1.25.3"})])
    do = _finding(diagnosis, "held_back").do

    assert (("nginx", "its header server: nginx/1.25.3"),) == diagnosis.hops
    assert do[0].startswith("nginx: `proxy_buffering off;`")
    assert "`X-Accel-Buffering: no`" in do[1]


def test_too_little_to_tell_is_no_verdict() -> None:
    """An answer of two events streams as little as it does not."""
    short = [TimedChunk(0.4, 100, 1), TimedChunk(0.41, 100, 1)]

    assert "cannot be told" == judge([_probe(short)]).verdict
    assert ("cannot be told", "no event came") == (judge([_probe([])]).verdict, judge([_probe([])]).reason)


def test_an_answer_that_is_held_back_only_when_compressed_does_not_stream() -> None:
    """Browsers and most SDKs accept compression; the way out is told for both ends."""
    compressed = _probe(_WHOLE, {"content-encoding": "gzip", "server": "nginx"}, coding="gzip, br")
    diagnosis = judge([_probe(_STEADY, {"server": "nginx"}), compressed])
    found = _finding(diagnosis, "held_back_compressed")

    assert ("does not stream", ["held_back_compressed"]) == (diagnosis.verdict, _names(diagnosis))
    assert found.what.startswith("compressed as gzip, which browsers accept, all 40 events came at once")
    assert "gzip_types" in found.do[0]
    assert "no-transform" in found.do[1]


def test_compression_that_is_flushed_is_only_noted() -> None:
    diagnosis = judge([_probe(_STEADY), _probe(_STEADY, {"content-encoding": "br"}, coding="gzip, br")])

    assert ("streams", ["compressed"]) == (diagnosis.verdict, _names(diagnosis))


def test_an_answer_that_fails_only_when_compressed_is_a_fault() -> None:
    """A client that accepts compression gets no answer by this path."""
    error = StreamInterrupted("the connection broke")
    second = _probe(_STEADY, {"content-encoding": "gzip"}, ended="broken", error=error)
    diagnosis = judge([_probe(_STEADY), second])

    assert ("does not stream", ["failed_compressed"]) == (diagnosis.verdict, _names(diagnosis))


def test_a_second_request_that_is_refused_tells_nothing_of_the_path() -> None:
    error = StatusError("the server answered with status 429", status=429)
    diagnosis = judge([_probe(_STEADY), _probe([], head=ResponseHead(status=429), error=error)])

    assert ("streams", ["not_compared"]) == (diagnosis.verdict, _names(diagnosis))


@pytest.mark.parametrize(
    ("seconds", "named"),
    [
        (33.5, "ngrok, which allows 30 s without a byte"),
        (58.45, "Heroku, which allows 55 s without a byte"),
        (63.4, "nginx, which allows 60 s without a byte"),
        (103.9, "Cloudflare, which allows 100 s without a byte"),
        (233.45, "Azure App Service, which allows 230 s without a byte"),
        (303.4, "Envoy or Istio, which allows 300 s without a byte"),
    ],
)
def test_a_cut_after_a_round_time_names_who_has_that_limit(seconds: float, named: str) -> None:
    assert any(f"perhaps {named}" in do for do in _cut(seconds).do)


@pytest.mark.parametrize(
    ("seconds", "named"),
    [
        (15.0, "Envoy or Istio, which allows 15 s for the whole answer"),
        (30.1, "Google Cloud load balancer, which allows 30 s for the whole answer"),
        (299.8, "Vercel, which allows 300 s for the whole answer"),
    ],
)
def test_a_cut_in_the_middle_of_events_is_a_limit_on_the_whole(seconds: float, named: str) -> None:
    """No silence came before the cut that anybody could have lost patience in."""
    arrivals = [TimedChunk(number * 0.2, 200, 1) for number in range(1, int(seconds * 5))]

    assert any(named in do for do in _cut(seconds, arrivals=arrivals).do)


def test_a_cut_is_that_of_the_hop_that_the_response_names() -> None:
    """Others that have the same limit are left out."""
    (do,) = _cut(63.4, {"server": "nginx"}).do

    assert do.startswith("nginx, which allows 60 s without a byte: raise `proxy_read_timeout`")


def test_a_cut_at_another_round_time_may_be_the_named_hops_own_setting() -> None:
    found = _cut(33.5, {"server": "nginx"})

    assert found.do[0] == (
        "30 s without a byte may be a limit that somebody has set: look for it in the settings of nginx, "
        "and in the server's own"
    )


def test_a_round_time_of_the_whole_answer_may_be_anybodys_limit() -> None:
    """Servers have such limits, too, which no table knows."""
    arrivals = [TimedChunk(number * 0.2, 200, 1) for number in range(1, 300)]
    (do,) = _cut(60.1, arrivals=arrivals).do

    assert do.startswith("60 s for the whole answer may be a limit that somebody has set")


def test_a_cut_at_any_other_time_is_reported_as_it_is() -> None:
    found = _cut(17.3, arrivals=[arrival for arrival in _STEADY if arrival.at <= 3.22])

    assert "the connection broke after 17.3 s, the last 14.1 s of them without a byte" == found.what
    assert found.do[0].startswith("that matches no known limit")


def test_an_answer_that_ends_cleanly_before_its_end_was_cut_too() -> None:
    """HTTP/1.0 has no other end, and some hops end a body properly that they gave up."""
    cut = _probe(_STEADY, ended_at=63.4, error=StreamTruncated("the input ended"))

    assert "the answer ended too early after 63.4 s" in _finding(judge([cut]), "cut").what


@pytest.mark.parametrize(
    ("status", "seconds", "headers", "named"),
    [
        (504, 60.0, {"server": "nginx"}, "nginx, which allows 60 s"),
        (524, 100.4, {"cf-ray": "8a-FRA"}, "Cloudflare, which allows 100 s"),
        (503, 30.0, {"via": "1.1 heroku-router"}, "Heroku, which allows 30 s until the first byte"),
    ],
)
def test_a_gateway_that_lost_its_patience_is_named(
    status: int, seconds: float, headers: dict[str, str], named: str
) -> None:
    head = ResponseHead(status=status, headers=headers)
    error = StatusError(f"the server answered with status {status}", status=status)
    answer = _probe([], head=head, head_at=seconds, ended_at=seconds, error=error)

    assert _finding(judge([answer]), "refused").do[0].startswith(named)


@pytest.mark.parametrize(
    ("headers", "changes", "name"),
    [
        ({"content-type": "text/plain"}, {}, "content_type"),
        ({"content-type": ""}, {}, "content_type"),
        ({"content-length": "12000"}, {}, "content_length"),
        ({}, {"version": "HTTP/1.0"}, "http_1_0"),
        ({"via": "1.1 edge, 1.0 inner"}, {}, "via_1_0"),
        ({"x-cache": "Hit from cloudfront"}, {}, "cached"),
        ({"cf-cache-status": "HIT"}, {}, "cached"),
        ({"cache-control": "no-cache"}, {}, "no_transform"),
    ],
)
def test_what_is_odd_in_the_head_is_noted(
    headers: dict[str, str], changes: dict[str, Any], name: str
) -> None:
    diagnosis = judge([_probe(_STEADY, headers, **changes)])

    assert ("streams", [name]) == (diagnosis.verdict, _names(diagnosis))


def test_a_long_silence_is_noted() -> None:
    """An answer that streams here may be cut by a proxy with less patience."""
    thinking = [TimedChunk(40.0 + number * 0.05, 200, 1) for number in range(60)]

    assert ["long_silence"] == _names(judge([_probe(thinking)]))


@in_one_test(
    ("headers", "names"),
    [
        ({"server": "nginx"}, "nginx"),
        ({"server": "openresty/1.25.3.1"}, "nginx"),
        ({"server": "Apache/2.4.62 (Debian)"}, "Apache httpd"),
        ({"server": "Caddy"}, "Caddy"),
        ({"via": "1.1 Caddy"}, "Caddy"),
        ({"via": "2 nghttpx"}, "nghttpx"),
        ({"server": "istio-envoy"}, "Envoy or Istio"),
        ({"x-envoy-upstream-service-time": "12"}, "Envoy or Istio"),
        ({"x-envoy-attempt-count": "1"}, "Envoy or Istio"),
        ({"via": "1.1 corp (squid/5.7)"}, "an unknown proxy"),
        ({"cf-ray": "8f2-FRA"}, "Cloudflare"),
        ({"x-amz-cf-id": "abc=="}, "CloudFront"),
        ({"x-cache": "Miss from cloudfront"}, "CloudFront"),
        ({"x-amz-apigw-id": "abc="}, "AWS API Gateway"),
        ({"server": "awselb/2.0"}, "AWS load balancer"),
        ({"via": "1.1 google"}, "Google Cloud load balancer"),
        ({"server": "Google Frontend"}, "Cloud Run"),
        ({"x-azure-ref": "0zxV"}, "Azure Front Door"),
        ({"via": "1.1 heroku-router"}, "Heroku"),
        ({"x-vercel-id": "fra1::iad1::abc"}, "Vercel"),
        ({"via": "1.1 varnish"}, "Fastly or Varnish"),
        # A platform behind a network that delivers for it.
        (
            {"server": "cloudflare", "cf-ray": "8f2-FRA", "via": "1.1 google"},
            "Cloudflare, Google Cloud load balancer",
        ),
        # Tomcat once called itself so.
        ({"server": "Apache-Coyote/1.1"}, ""),
    ],
)
def test_hops_are_known_by_their_headers(headers: dict[str, str], names: str) -> None:
    """Each sign by itself is enough."""
    hops = judge([_probe(_STEADY, headers)]).hops

    assert names == ", ".join(sorted(name for name, _ in hops))


def test_a_proxy_that_the_environment_names_is_a_hop() -> None:
    diagnosis = judge([_probe(_BURSTS, proxied=True)])

    assert ["your own proxy"] == [name for name, _ in diagnosis.hops]
    assert _finding(diagnosis, "held_back").do[0].startswith("set NO_PROXY")


@in_one_test("hop", HOPS, ids=lambda hop: hop.name)
def test_what_is_said_of_a_hop_says_where_it_is_written(hop: Any) -> None:
    """Settings and limits change: whoever doubts them can look."""
    assert bool(hop.source) == bool(hop.unbuffer or hop.uncompress or hop.limits or "azure" in hop.source)
    assert hop.source.startswith("https://") or not hop.source


def test_the_picture_shows_what_the_command_prints() -> None:
    """`python docs/_programs/doctor_picture.py` draws it anew, of arrivals that were measured once."""
    script = runpy.run_path(str(ROOT / "docs" / "_programs" / "doctor_picture.py"))

    assert script["draw"]() == (ROOT / "docs" / "pictures" / "doctor.svg").read_text("utf-8")
    assert script["LINES"][0] == "https://api.example.com/v1/chat/completions: does not stream"


def test_the_page_has_the_table_of_hops_as_the_command_knows_them() -> None:
    """`python -m tests.docs.doctor_page` writes it anew."""
    assert doctor_page.SECTION.render() == doctor_page.SECTION.on_the_page()


def test_the_page_explains_every_finding() -> None:
    page = doctor_page.PAGE.read_text("utf-8")
    source = Path(_findings.__file__).read_text("utf-8")

    assert [] == [name for name in re.findall(r'Finding\(name="(\w+)"', source) if f"`{name}`" not in page]


def test_a_call_in_the_text_is_a_note_with_the_options_of_servers() -> None:
    """The path streams all the same."""
    diagnosis = judge([_probe(_STEADY, call_in_text="qwen")])
    found = _finding(diagnosis, "call_in_text")

    assert "streams" == diagnosis.verdict
    assert not found.grave
    assert "--tool-call-parser qwen3_coder" in found.do[0]
    assert 'tags=Tags(calls="qwen")' in found.do[-1]
    assert "call_in_text" not in _names(judge([_probe(_STEADY)]))
