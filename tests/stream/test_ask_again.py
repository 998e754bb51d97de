"""Asking again for an output that was not valid: what the model hears, and what the next request says."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests.support.either import at_once, connect_in, got, inside
from tests.support.recordings import OURS
from tokenstream import AsyncStream, Stream, Tools, connect, testing
from tokenstream.errors import InvalidJSON, OutputInvalid
from tokenstream.testing import Script, Server
from tokenstream.turns import ToolResults


class Step(BaseModel):
    title: str
    minutes: int = Field(ge=0)


class Recipe(BaseModel):
    name: str
    steps: list[Step]


GOOD = {"name": "Tea", "steps": [{"title": "Boil", "minutes": 5}]}
WRONG = {"name": "Tea", "steps": [{"title": "Boil", "minutes": 5}, {"title": 7, "minutes": "private words"}]}
WORDS = """\
The output is not valid:
- steps[1].title: should be a valid string, not 7
- steps[1].minutes: should be a valid integer, unable to parse string as an integer, not "private words"
Write all of it again, corrected."""
PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent",
}


def _said(text: object) -> Script:
    return testing.script().text(text if isinstance(text, str) else json.dumps(text)).finish("stop")


def _turns(error: OutputInvalid, stream: Stream | AsyncStream) -> list[Any]:
    words = error.words_for_model
    told = {"parts": [{"text": words}]} if stream.format == "gemini" else {"content": words}
    return [*ToolResults(stream.message, {}).turns(), {"role": "user", **told}]


async def _ask_in(colour: str, url: str, turns: list[Any], again: int = 1) -> Recipe:
    async with inside(connect_in(colour)(url, json={"turns": turns})) as stream:
        try:
            result: Recipe = await got(stream.result(Recipe))
        except OutputInvalid as error:
            if not again:
                raise
            turns = [*turns, *_turns(error, stream)]
        else:
            return result
    return await _ask_in(colour, url, turns, again - 1)


def _ask(url: str, turns: list[Any], again: int = 1) -> Recipe:
    return at_once(_ask_in("sync", url, turns, again))


def _requests(server: Server) -> list[Any]:
    return [request.json["turns"] for request in server.requests]


@pytest.mark.parametrize("format", PATHS)
def test_one_more_request_has_the_answer_and_what_is_wrong_with_it(format: str) -> None:
    with testing.serve([_said(WRONG), _said(GOOD)]) as server:
        recipe = _ask(server.url + PATHS[format], ["question"])
        first, second = _requests(server)

    assert Recipe.model_validate(GOOD) == recipe
    assert ["question"] == first
    assert ["question", "user"] == [second[0], second[-1]["role"]]
    assert json.dumps(WORDS)[1:-1] in json.dumps(second[2])
    assert "private words" in json.dumps(second[1])


@pytest.mark.anyio
async def test_an_async_stream_asks_again_as_well() -> None:
    with testing.serve([_said(WRONG), _said(GOOD)]) as server:
        recipe = await _ask_in("async", server.url + PATHS["openai-chat"], [])

        assert WORDS == _requests(server)[1][-1]["content"]
    assert Recipe.model_validate(GOOD) == recipe


def test_a_recorded_answer_is_the_second_one() -> None:
    recorded = testing.Recording.load(OURS / "openai-chat" / "recipe.sse")
    with testing.serve([_said('{"name": "Crêpes"] '), recorded]) as server:
        recipe = _ask(server.url + PATHS["openai-chat"], ["question"])
        words = _requests(server)[1][-1]["content"]

    assert [5, 30, 15, 2] == [step.minutes for step in recipe.steps]
    assert words.startswith("The output is no valid JSON: it goes wrong at character 17, near ")


def test_a_tools_arguments_are_asked_for_again_by_what_their_call_gave() -> None:
    wrong, good = [testing.script().tool_call("Recipe", each).finish("tool_calls") for each in (WRONG, GOOD)]
    with testing.serve([wrong, good]) as server:
        url = server.url + PATHS["anthropic"]
        with connect(url, json={"tools": Tools(Recipe).to_anthropic()}) as stream:
            with pytest.raises(OutputInvalid) as caught:
                stream.result(Recipe, tool="Recipe")
            [call] = stream.message.tool_calls
        turns = ToolResults(stream.message, {call.id: caught.value.words_for_model}, errors=[call.id]).turns()
        with connect(url, json={"turns": turns}) as stream:
            recipe = stream.result(Recipe, tool="Recipe")

    assert Recipe.model_validate(GOOD) == recipe
    assert ["assistant", "user"] == [turn["role"] for turn in turns]
    assert {"content": WORDS, "is_error": True}.items() <= turns[1]["content"][0].items()


def test_a_second_wrong_answer_is_the_error() -> None:
    with testing.serve([_said(WRONG), _said("no JSON"), _said(GOOD)]) as server:
        with pytest.raises(InvalidJSON):
            _ask(server.url + PATHS["openai-chat"], [])

        assert 2 == len(server.requests)


def _words(text: str, **options: Any) -> str:
    with pytest.raises(OutputInvalid) as caught:
        Stream([text], format="pieces").result(Recipe, **options)
    again = pickle.loads(pickle.dumps(caught.value))

    assert caught.value.words_for_model == again.words_for_model
    return caught.value.words_for_model


def test_what_is_no_json_is_reported_by_its_place() -> None:
    assert (
        'The output is no valid JSON: it goes wrong at character 9, near "{\\"name\\": oops}". '
        "Write it again as one JSON document, and nothing else."
    ) == _words('{"name": oops}')
    assert "The output is not the JSON that was asked for. Write that, and nothing else." == _words("  ")


def test_what_was_almost_json_is_reported_by_its_places() -> None:
    """The reading that was lenient knows them, though the text is no JSON."""
    words = _words("Here: ```json\n{name: 'Tea', steps: [{title: 'Boil', minutes: -1,}]}\n```", lenient=True)

    assert "- steps[0].minutes: should be greater than or equal to 0, not -1" in words


def test_what_is_reported_has_a_bounded_length() -> None:
    wrong = {"name": 1, "steps": [{"title": ["x" * 1000], "minutes": "y" * 1000}] * 200}
    words = _words(json.dumps(wrong))

    assert len(words) < 5_000
    assert "- and 389 more places" in words
    assert "Step" not in words.replace("steps", "")
    assert "Recipe" not in words


def test_an_element_is_reported_by_its_place_in_the_document() -> None:
    with Stream([json.dumps(WRONG)], format="pieces") as stream, pytest.raises(OutputInvalid) as caught:
        list(stream.items(Step, at="steps"))
    error = caught.value

    assert ("steps", 1) == error.path
    assert WORDS == error.words_for_model
    assert () == OutputInvalid("", text="").path


@pytest.mark.parametrize(
    "text, problem",
    [
        ('{"name": "private"}', "there is nothing at 'steps': the document is an object without that key"),
        (
            '{"steps": "private"}',
            "'steps' is a string at character 10, where an array or an object was expected",
        ),
    ],
)
def test_a_path_that_leads_to_nothing_is_reported(text: str, problem: str) -> None:
    with Stream([text], format="pieces") as stream, pytest.raises(OutputInvalid) as caught:
        list(stream.items(Step, at="steps"))

    assert (
        f"The output is not the JSON that was asked for: {problem}. Write all of it again, corrected."
    ) == pickle.loads(pickle.dumps(caught.value)).words_for_model
    assert problem == str(caught.value)


def test_a_tool_call_is_reported_in_the_tools_words() -> None:
    call = {"id": "call_1", "function": {"name": "Step", "arguments": '{"title": "Boil"}'}}
    chunk = {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    [checked] = Stream([chunk], format="openai-chat").validated_calls(Tools(Step))

    assert checked.error is not None
    assert checked.error.words_for_model == checked.error_for_model
    assert checked.error_for_model.startswith("The arguments of Step are not valid:\n- minutes: is missing")
