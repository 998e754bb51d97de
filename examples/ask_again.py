"""Ask again, once, when an answer is not the recipe that was asked for.

The model is a script on this machine, which writes a number in words at first. What it
hears of that are the words that `error.words_for_model` has for it.
"""

from typing import Any

from pydantic import BaseModel

from tokenstream import connect, response_format, testing
from tokenstream.errors import OutputInvalid
from tokenstream.turns import ToolResults


class Recipe(BaseModel):
    """What to cook."""

    name: str
    minutes: int


def ask(url: str, request: dict[str, Any], turns: list[dict[str, Any]], again: int = 1) -> Recipe:
    """Return the recipe that a model writes when it is asked with these turns."""
    with connect(url, json={**request, "messages": turns}) as stream:
        try:
            return stream.result(Recipe)
        except OutputInvalid as error:
            if not again:
                raise
            print(error.words_for_model)
            said = {"role": "user", "content": error.words_for_model}
            turns = [*turns, *ToolResults(stream.message, {}).turns(), said]
    return ask(url, request, turns, again - 1)


def main() -> None:
    """Ask a model that is wrong at first."""
    answers = ['{"name": "Tea", "minutes": "a few"}', '{"name": "Tea", "minutes": 5}']
    with testing.serve([testing.script().text(answer).finish("stop") for answer in answers]) as server:
        url = f"{server.url}/v1/chat/completions"
        request = {"model": "example-model", "stream": True, **response_format(Recipe).to_openai_chat()}
        recipe = ask(url, request, [{"role": "user", "content": "How do I make tea?"}])
        print(f"{recipe.name}: {recipe.minutes} minutes, after {len(server.requests)} requests")


if __name__ == "__main__":
    main()
