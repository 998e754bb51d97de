"""examples/prometheus.py counts answers as prometheus-client exports them."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING

from tests.cookbook.programs import EXAMPLES
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    import pytest

_SCRIPT = testing.script().text("The ", "sky ", "is ", "blue.").finish("stop").recording("openai-chat")
_ANSWERS = {
    "Why?": _SCRIPT,
    "Break!": _SCRIPT.with_fault(testing.faults.close(event=3)),
    "Refuse!": _SCRIPT.with_fault(testing.faults.status(429)),
}


def _answer(request: testing.Request) -> testing.Recording:
    return _ANSWERS[request.json["messages"][0]["content"]]


def test_answers_are_counted_by_host_ending_and_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole one, a broken one, and a refused one, which has no time to a first token."""
    client = needed("prometheus_client")
    with testing.serve(_answer) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        answer = runpy.run_path(str(EXAMPLES / "prometheus.py"))["answer"]
        for question in _ANSWERS:
            answer(question)
    exported = client.generate_latest().decode().splitlines()
    counts = [line for line in exported if line.startswith("llm_answers_total{")]

    assert capsys.readouterr().out.startswith("The sky is blue.\nThe sky \n[")
    assert {
        'llm_answers_total{ending="complete",host="127.0.0.1",kind=""} 1.0',
        'llm_answers_total{ending="truncated",host="127.0.0.1",kind="network"} 1.0',
        'llm_answers_total{ending="failed",host="127.0.0.1",kind="rate_limited"} 1.0',
    } == set(counts)
    assert 'llm_first_token_seconds_count{host="127.0.0.1"} 2.0' in exported
