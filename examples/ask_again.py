"""Ask again, once, if an answer is not a valid recipe.

The model is a local script, which at first writes a number in words. The second request
tells it what was wrong, with `error.words_for_model`.
"""

from typing import Any

from pydantic import BaseModel

from tokenstream import connect, response_format, testing
from tokenstream.errors import OutputInvalid
from tokenstream.turns import ToolResults


class Recipe(BaseModel):
    """The recipe to be written."""

    name: str
    minutes: int


def ask(
    url: str, request: dict[str, Any], turns: list[dict[str, Any]], again: int = 1
) -> Recipe:
    """Return the recipe that a model writes in reply to these turns."""
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
    """Ask a model whose first answer is invalid."""
    answers = ['{"name": "Tea", "minutes": "a few"}', '{"name": "Tea", "minutes": 5}']
    with testing.serve(
        [testing.script().text(answer).finish("stop") for answer in answers]
    ) as server:
        url = f"{server.url}/v1/chat/completions"
        request = {
            "model": "example-model",
            "stream": True,
            **response_format(Recipe).to_openai_chat(),
        }
        recipe = ask(url, request, [{"role": "user", "content": "How do I make tea?"}])
        print(
            f"{recipe.name}: {recipe.minutes} minutes,"
            f" after {len(server.requests)} requests"
        )


if __name__ == "__main__":
    main()
