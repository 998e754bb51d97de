"""Both ways of the cookbook to retry give one answer, from a server that fails at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cookbook.programs import run_program
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from pathlib import Path


def test_each_answer_is_printed_once(tmp_path: Path) -> None:
    """The first request is refused, the second is answered; so are the third and the fourth."""
    needed("stamina")
    answer = testing.script().text("The sky ", "is blue.").finish("stop")
    refused = answer.recording("openai-chat").with_fault(testing.faults.status(503))
    with testing.serve([refused, answer, refused, answer]) as provider:
        done = run_program("retries", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert "The sky is blue.\nThe sky is blue.\n" == done.stdout, done.stderr
    assert 4 == len(provider.requests)
