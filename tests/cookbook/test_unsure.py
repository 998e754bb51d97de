"""The program about log probabilities shows a word that the model has guessed in brackets."""

from __future__ import annotations

from pathlib import Path

from tests.cookbook.programs import run_program
from tokenstream import testing


def test_a_word_that_the_model_has_guessed_is_in_brackets(tmp_path: Path) -> None:
    script = testing.script()
    for word, logprob in (("Otto", -0.01), (" II", -1.9), (" did.", -0.2)):
        told = {"content": [{"token": word, "logprob": logprob}]}
        script = script.raw({"choices": [{"index": 0, "delta": {"content": word}, "logprobs": told}]})
    with testing.serve(script.finish("stop")) as provider:
        done = run_program("unsure", tmp_path, "Who built it?", OPENAI_BASE_URL=f"{provider.url}/v1")

    assert (done.stdout, done.stderr) == ("Otto[ II] did.\n", "")
    assert provider.requests[0].json["logprobs"] is True
