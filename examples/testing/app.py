"""Code of an application, which the tests in this folder test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream import connect
from tokenstream.errors import StreamError

if TYPE_CHECKING:
    import httpx
    from openai import OpenAI

    from tokenstream import Stream

URL = "https://api.example.com/v1/chat/completions"


def weather(stream: Stream) -> list[str]:
    """Return what the application shows: the text, and the calls to run."""
    shown = ["".join(stream.text)]
    shown += [f"{call.name}({call.arguments['city']})" for call in stream.tool_calls]
    return shown


def ask(client: httpx.Client, question: str) -> list[str]:
    """Ask over HTTP."""
    messages = [{"role": "user", "content": question}]
    with connect(
        URL, json={"messages": messages, "stream": True}, client=client
    ) as stream:
        return weather(stream)


def ask_and_keep(client: httpx.Client, question: str) -> str:
    """Ask over HTTP, and show the text so far if the connection breaks."""
    messages = [{"role": "user", "content": question}]
    with connect(
        URL, json={"messages": messages, "stream": True}, client=client
    ) as stream:
        try:
            return stream.final().text
        except StreamError as error:
            return f"{error.partial.text} … (connection lost)"


def ask_openai(client: OpenAI, question: str) -> list[str]:
    """Ask with OpenAI's SDK, and return the pieces of text."""
    chunks = client.chat.completions.create(
        model="gpt-5.1", messages=[{"role": "user", "content": question}], stream=True
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    return [delta.content for delta in deltas if delta.content]
