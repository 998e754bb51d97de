"""What real servers sent behind a fault is read as their words say; the page lists what nobody can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chains import provider
from tests.chains.__main__ import CHAINS, PAGE, paragraphs
from tokenstream import Stream
from tokenstream.errors import StreamError

_SENT = {
    "pydantic-ai-reset": ("ag-ui", "failed", provider.TEXT),
    "langgraph-cut": ("langchain-protocol", "truncated", "The sea is "),
}


@pytest.mark.parametrize("name", _SENT)
def test_a_cut_behind_a_server_is_a_broken_connection(name: str) -> None:
    stream = Stream([(Path(__file__).parent / "recordings" / f"{name}.sse").read_bytes()])

    with pytest.raises(StreamError) as caught:
        stream.final()

    error = caught.value
    assert ("network", True) == (error.kind, error.retryable)
    assert _SENT[name] == (stream.format, error.partial.ending, error.partial.text)


def test_the_page_has_a_row_for_each_api_of_a_chain_and_says_where_nobody_can_tell() -> None:
    untold = PAGE.read_text(encoding="utf-8").partition("```text")[0].replace("\n", " ")
    for name, table in paragraphs().items():
        lines = table.splitlines()[2:]
        rows = [line.strip().partition("  ")[0] for line in lines]

        assert [*CHAINS[name]["rows"]] == rows
        assert name in untold or not any("untold" in line.split()[:-1] for line in lines)
