import httpx2
from app import ask_openai
from openai import OpenAI

from tokenstream import testing


def test_the_pieces_are_shown() -> None:
    answer = (
        testing.script()
        .text("Hel", "lo")
        .usage(input_tokens=3, output_tokens=2)
        .finish()
    )

    with httpx2.Client(transport=testing.transport(answer)) as http:
        assert ask_openai(OpenAI(api_key="test", http_client=http), "Hi") == [
            "Hel",
            "lo",
        ]
