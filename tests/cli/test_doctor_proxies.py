"""`doctor` through real proxies: nginx, and nghttpx for HTTP/2."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.cli.commands import chat
from tests.support.proxies import nghttpx, nginx
from tests.support.replies import reply, serve_in_time
from tests.support.wire import DONE
from tokenstream.cli import main
from tokenstream.cli._doctor.findings import judge
from tokenstream.cli._doctor.probe import probe
from tokenstream.cli._input import RequestParts
from tokenstream.testing import Recording, Request, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.commands import Told

pytestmark = pytest.mark.slow

_EVENTS = 50
"""Of some 400 bytes: they fill a buffer of 4 KiB several times."""
_PACE = 0.012
"""Seconds between two of them."""
_GZIP = "gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;"
_LOCATIONS = {
    "default": "",
    "unbuffered": "proxy_buffering off;",
    "compressed": f"proxy_buffering off; {_GZIP}",
    "compressing": f"proxy_buffering on; {_GZIP}",
    "http11": 'proxy_buffering off; proxy_http_version 1.1; proxy_set_header Connection "";',
    "impatient": "proxy_buffering off; proxy_read_timeout 2s;",
}


_LAST = chat({"content": ""}, finish_reason="stop") + DONE
_PACED = [(_PACE, chat({"content": "word " * 60})) for _ in range(_EVENTS)]


def _answer(request: Request) -> Recording:
    if request.route == "/silent":
        # nginx sets its timer anew only where that moves it by more than 0.3 s.
        return reply([*_PACED[:8], (0.35, chat({"content": "more"})), (30.0, _LAST)])
    headers = {"cache-control": "no-cache, no-transform"}
    if request.route == "/asking":
        headers["x-accel-buffering"] = "no"
    return reply([*_PACED, (0.0, _LAST)], headers=headers)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_in_time(_answer) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nginx(tmp_path_factory.mktemp("nginx"), server.url, _LOCATIONS) as url:
        yield url


def _names(told: Any) -> list[str]:
    return [finding["name"] for finding in told["findings"]]


def test_nginx_as_it_is_installed_holds_an_answer_back(
    proxy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["doctor", f"{proxy}/default/text"])
    lines = capsys.readouterr().out.splitlines()

    assert (1, f"{proxy}/default/text: does not stream") == (status, lines[0])
    assert "events came in bursts" in lines[1]
    assert any(line.startswith("hop         nginx, by its header server: nginx/") for line in lines)
    assert any(line.startswith("  change    nginx: `proxy_buffering off;`") for line in lines)


@pytest.mark.parametrize("path", ["unbuffered/text", "default/asking", "http11/text"])
def test_nginx_that_does_not_buffer_streams(path: str, proxy: str, server: Server, doctor: Told) -> None:
    status, told = doctor("--once", f"{proxy}/{path}")
    upstream = server.exchanges[-1].request

    assert (0, "streams", []) == (status, told["verdict"], _names(told))
    assert ("HTTP/1.1", [{"name": "nginx", "sign": told["hops"][0]["sign"]}]) == (
        told["answers"][0]["http_version"],
        told["hops"],
    )
    assert (None if path.startswith("http11") else "close") == upstream.headers.get("Connection")


def test_nginx_that_compresses_and_flushes_is_noted(proxy: str, doctor: Told) -> None:
    status, told = doctor(f"{proxy}/compressed/text")
    codings = [answer["headers"].get("content-encoding") for answer in told["answers"]]

    assert (0, "streams", ["compressed"]) == (status, told["verdict"], _names(told))
    assert [None, "gzip"] == codings
    assert "gzip_types" in told["findings"][0]["do"][0]


def test_nginx_that_compresses_and_buffers_holds_all_of_it_back(proxy: str, doctor: Told) -> None:
    """Compressed, the answer fits into one buffer."""
    status, told = doctor(f"{proxy}/compressing/text", "-H", "Accept-Encoding: gzip")

    assert (1, ["held_back"]) == (status, _names(told))
    assert "came at once" in told["reason"]
    assert any("gzip_types" in do for do in told["findings"][0]["do"])


@pytest.mark.slow
def test_nginx_that_loses_its_patience_is_reported_as_a_cut_at_its_limit(proxy: str) -> None:
    """By a clock that takes them for a minute, its two seconds are what it has by default."""
    times = [time.monotonic(), 0.0]

    def clock() -> float:
        """Count a minute for nginx's two seconds, however late they are noticed, and little for the rest."""
        last, times[0] = times[0], time.monotonic()
        times[1] += 60.0 if times[0] - last > 1.5 else 0.1
        return times[1]

    request = RequestParts("GET", [], {}, [])
    answer = probe(f"{proxy}/impatient/silent", request, "identity", timeout=10, clock=clock)
    (cut,) = [finding for finding in judge([answer]).findings if finding.name == "cut"]

    assert cut.do[0].startswith("nginx, which allows 60 s without a byte: raise `proxy_read_timeout`")
    assert cut.what.startswith("the connection broke after 6")


def test_http_2_over_tls_streams_through_nghttpx(
    server: Server, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, doctor: Told
) -> None:
    """The certificate is trusted as SSL_CERT_FILE says; the hop is known by its Via header."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for certificate in issued.cert_chain_pems:
        certificate.write_to_path(str(tmp_path / "certificate.pem"), append=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with nghttpx(tmp_path, server.url, tmp_path / "certificate.pem", tmp_path / "key.pem") as url:
        status, told = doctor("--once", f"{url}/text")

    assert (0, "streams", "HTTP/2") == (status, told["verdict"], told["answers"][0]["http_version"])
    assert ["nghttpx"] == [hop["name"] for hop in told["hops"]]
