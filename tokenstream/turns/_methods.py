"""Names of the methods that make the turns of a request, by the format of its answers."""

from __future__ import annotations

from typing import Any

from tokenstream._apis import all_apis, api_named


def turn_method(name: str | None) -> str | None:
    """Return the name of the method that makes a format's turns, which `Message` and `ToolResults` have.

    The result is None for a format whose requests have no turns.

    Example:
        >>> turn_method("bedrock-invoke"), turn_method("tgi")
        ('to_anthropic', None)
    """
    api = api_named(name)
    return None if api is None else api.turn


def formats_with_turns() -> list[str]:
    """Return the names of the formats for whose requests turns can be made, in alphabetical order."""
    return sorted(api.name for api in all_apis() if api.turn is not None)


def write_user_turn(text: str, method: str) -> dict[str, Any]:
    """Return a user's turn with a text, in the form of the APIs whose turns a method of `Message` makes.

    Args:
        text: The text.
        method: The name of the method.

    Example:
        >>> write_user_turn("Hi", "to_anthropic"), write_user_turn("Hi", "to_gemini")
        ({'role': 'user', 'content': 'Hi'}, {'role': 'user', 'parts': [{'text': 'Hi'}]})
    """
    requests = (api.request for api in all_apis() if api.turn == method)
    pieces = next((request.pieces for request in requests if request is not None), None)
    return {"role": "user", "content": text} if pieces is None else {"role": "user", pieces: [{"text": text}]}
