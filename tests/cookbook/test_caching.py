"""The program about prompt caching marks what is kept, and prints what came from the cache."""

from __future__ import annotations

from pathlib import Path

from tests.cookbook.programs import run_program
from tokenstream import testing


def test_the_second_question_reads_the_text_from_the_cache(tmp_path: Path) -> None:
    text = tmp_path / "contract.txt"
    text.write_text("A long text. " * 1_000)
    scripts = [
        testing.script().text("It is long.").usage(**usage, output_tokens=4).finish("stop")
        for usage in (
            {"input_tokens": 12, "cached_tokens": 0, "cache_write_tokens": 2_048},
            {"input_tokens": 14, "cached_tokens": 2_048, "cache_write_tokens": 0},
        )
    ]
    with testing.serve(scripts) as provider:
        done = run_program("caching", tmp_path, str(text), ANTHROPIC_BASE_URL=provider.url)
    first, second = (request.json for request in provider.requests)

    assert not done.stderr
    assert ["[12 new, 0 cached, 2048 written]", "[14 new, 2048 cached, 0 written]"] == [
        line for line in done.stdout.splitlines() if line.startswith("[")
    ]
    assert first["system"] == second["system"]
    assert {"type": "ephemeral"} == first["system"][-1]["cache_control"]
    assert text.read_text() == first["system"][-1]["text"]
    assert first["messages"] != second["messages"]
