"""Chat in the terminal: Markdown is drawn while it arrives, without flicker.

Ctrl-C stops an answer and keeps the text so far; Ctrl-D ends the chat. Pass the URL of
an OpenAI-compatible server and the model's name, and set OPENAI_API_KEY; or pass
nothing for a local server with scripted answers.
"""

import os
import sys
from typing import Any

from tokenstream import Message, StreamError, connect, testing
from tokenstream.terminal import MarkdownPrinter
from tokenstream.testing import faults

HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
ANSWER = """\
## Answer {number}

You asked: **{question}**

| turns so far | by you |
|---|---|
| {turns} | {number} |

```python
for block in stream.text.throttle(hz=20).markdown_blocks():
    printer.show(block)
```

That is all 👩‍🚀.
"""


def scripted(request: testing.Request) -> testing.Recording:
    """Answer a request as a model would."""
    turns = request.json["messages"]
    asked = [turn["content"] for turn in turns if turn["role"] == "user"]
    text = ANSWER.format(number=len(asked), question=asked[-1], turns=len(turns))
    return testing.script().text(text).finish().recording("openai-chat")


def answer(url: str, model: str, history: list[dict[str, Any]]) -> Message:
    """Print the answer to a history while it arrives, and return it."""
    payload = {"model": model, "messages": history, "stream": True}
    try:
        with (
            connect(url, json=payload, headers=HEADERS) as stream,
            MarkdownPrinter() as printer,
        ):
            # With a timer, held text is shown even while the model is silent.
            blocks = stream.text.throttle(hz=20, timer=True).markdown_blocks()
            try:
                for block in blocks:
                    printer.show(block)
            except KeyboardInterrupt:
                stream.stop("the user has read enough")
                for block in blocks:
                    printer.show(block)
    except StreamError as error:
        print(f"[{error.message}]")
        return error.partial
    return stream.message


def chat(url: str, model: str) -> None:
    """Ask and answer until the user has no more questions."""
    history: list[dict[str, Any]] = []
    while True:
        try:
            question = input("\nyou: ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        print()
        asked = {"role": "user", "content": question}
        message = answer(url, model, [*history, asked])
        if message.text:
            history += [asked, message.to_openai_chat(drop="incomplete")]
        if message.ending == "stopped":
            print("[stopped]")


if len(sys.argv) > 1:
    chat(sys.argv[1], *sys.argv[2:3] or ["default"])
else:
    with testing.serve(scripted, fault=faults.slow(0.02)) as server:
        chat(f"{server.url}/v1/chat/completions", "scripted")
