"""Answer in Slack: a message that grows once a second, and goes on in another one.

Needs slack-sdk and aiohttp. Set SLACK_BOT_TOKEN, SLACK_APP_TOKEN (for Socket Mode) and
OPENAI_API_KEY, and mention the bot.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# The types of slack-sdk leave open what a dict has.

import asyncio
import os
import re
from collections.abc import Iterator
from typing import Any

from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from tokenstream import StreamError, aconnect

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
SLACK = os.environ.get("SLACK_BASE_URL", "https://slack.com/api/")
LIMIT = 4_000  # characters of a message
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
ENDS = {
    "length": "The answer was cut off: it is too long.",
    "content_filter": "The provider's filter ended the answer.",
}


def pages_of(text: str, *, grows: bool = False) -> Iterator[str]:
    """Yield a text in messages of whole lines, each block of code opened and closed."""
    page = fence = mark = ""  # the line that opened a block, and the one that closes it
    for line in text.split("\n"):
        opens = None if fence else FENCE.match(line)
        closes = fence and line.strip() == mark
        mark = opens[1] if opens else mark
        close = f"\n{mark}" if opens or (fence and not closes) else ""
        rest = line
        while (room := LIMIT - len(f"{page}\n{close}")) < len(rest):
            if page != fence:
                whole = page.removesuffix(f"\n{fence}")
                yield f"{page}{close}" if page == whole and fence else whole
                page = fence
            else:  # a line that is longer than a message is cut between two words
                end = rest.rfind(" ", 1, room) + 1 or room
                yield f"{page}\n{rest[:end]}{close}".lstrip("\n")
                rest = rest[end:]
        page = f"{page}\n{rest}" if page else rest
        fence = line if opens else "" if closes else fence
    if grows:  # what is sent stays: no block is closed, or opened, before its time
        yield page.rstrip("\n").removesuffix(f"\n{fence}")
    else:
        yield f"{page}\n{mark}" if fence else page


def without_mentions(text: str) -> str:
    """Return a text that notifies nobody: `<!channel>` and `<@U1>` stay as written."""
    return re.sub("<(?=[!@])", "&lt;", text)


class Thread:
    """The messages of an answer, which grow in Slack's own way if they can."""

    def __init__(self, slack: AsyncWebClient, asked: dict[str, Any]) -> None:
        self.slack = slack
        thread = asked.get("thread_ts", asked["ts"])
        self.at: dict[str, Any] = {"channel": asked["channel"], "thread_ts": thread}
        # Slack wants to know for whom a message grows.
        ids = {f"recipient_{key}_id": asked.get(key) for key in ("team", "user")}
        self.reader: dict[str, Any] = ids
        self.streams = hasattr(slack, "chat_stream") and all(self.reader.values())
        self.sent: list[tuple[Any, str]] = []  # streams or ids, and texts

    async def show(self, text: str, *, grows: bool = False) -> None:
        """Send what is new in the text of the answer."""
        pages = pages_of(without_mentions(text), grows=grows and self.streams)
        for at, page in enumerate(filter(str.strip, pages)):
            if at == len(self.sent):
                await self.begin(page)
            elif page != self.sent[at][1]:
                message, shown = self.sent[at]
                if self.streams:
                    await message.append(markdown_text=page.removeprefix(shown))
                else:
                    edited = {"channel": self.at["channel"], "ts": message}
                    await self.slack.chat_update(**edited, markdown_text=page)
                self.sent[at] = (message, page)

    async def begin(self, page: str) -> None:
        """Begin a message, after the one before it."""
        if self.streams:
            await self.stop()
            options: dict[str, Any] = {**self.at, **self.reader, "buffer_size": 1}
            message = await self.slack.chat_stream(**options)
            await message.append(markdown_text=page)
            self.sent.append((message, page))
        else:
            posted = await self.slack.chat_postMessage(**self.at, markdown_text=page)
            self.sent.append((posted["ts"], page))

    async def stop(self) -> None:
        """End the message that grows."""
        if self.streams and self.sent:
            await self.sent[-1][0].stop()


async def answer(slack: AsyncWebClient, asked: dict[str, Any]) -> None:
    """Answer a message in its thread."""
    question = re.sub(r"<@\w+>", "", asked["text"], count=1).strip()
    messages = [{"role": "user", "content": question}]
    request = {"model": "gpt-5.5", "messages": messages, "stream": True}
    thread = Thread(slack, asked)
    stream = aconnect(f"{BASE}/chat/completions", json=request, headers=HEADERS)
    try:
        async with stream:
            pieces = stream.text.lines() if thread.streams else stream.text.words()
            async for text in pieces.throttle(hz=1).accumulate():
                await thread.show(text, grows=True)
        empty = "" if stream.message.text.strip() else "The answer is empty."
        end = ENDS.get(str(stream.message.finish_reason), empty)
    except StreamError as error:
        end = f"The answer broke off ({error.kind})."
    await thread.show(stream.message.text)
    await thread.stop()
    if end:
        await slack.chat_postMessage(**thread.at, text=end)


async def receive(
    client: AsyncBaseSocketModeClient, request: SocketModeRequest
) -> None:
    """Acknowledge what Slack sends, and answer a person who mentions the bot."""
    acknowledged = SocketModeResponse(envelope_id=request.envelope_id)
    await client.send_socket_mode_response(acknowledged)
    event = request.payload.get("event", {})
    if event.get("type") == "app_mention" and "bot_id" not in event:
        await answer(client.web_client, event)


async def main() -> None:
    """Listen until Ctrl-C."""
    web = AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=SLACK)
    web.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=3))
    client = SocketModeClient(app_token=os.environ["SLACK_APP_TOKEN"], web_client=web)
    client.socket_mode_request_listeners.append(receive)
    try:
        await client.connect()
        await asyncio.Event().wait()
    finally:
        await client.close()


if __name__ == "__main__":
    asyncio.run(main())
