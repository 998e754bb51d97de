"""Answer in Slack: a message that is edited once a second, and goes on in another one.

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


def pages_of(text: str) -> Iterator[str]:
    """Yield a text in messages, cut between two words where that is possible."""
    while len(text) > LIMIT:
        end = text.rfind(" ", 1, LIMIT) + 1 or LIMIT
        yield text[:end]
        text = text[end:]
    yield text


def without_mentions(text: str) -> str:
    """Return a text that notifies nobody: `<!channel>` and `<@U1>` stay as written."""
    return re.sub("<(?=[!@])", "&lt;", text)


async def answer(slack: AsyncWebClient, asked: dict[str, Any]) -> None:
    """Answer a message in its thread."""
    messages = [{"role": "user", "content": asked["text"]}]
    request = {"model": "gpt-5.5", "messages": messages, "stream": True}
    thread = {
        "channel": asked["channel"],
        "thread_ts": asked.get("thread_ts", asked["ts"]),
    }
    sent: list[tuple[str, str]] = []  # each message's text and time, which is its id
    async with aconnect(
        f"{BASE}/chat/completions", json=request, headers=HEADERS
    ) as stream:
        try:
            async for text in stream.text.words().throttle(hz=1).accumulate():
                for at, page in enumerate(
                    filter(str.strip, pages_of(without_mentions(text)))
                ):
                    if at == len(sent):
                        posted = await slack.chat_postMessage(
                            **thread, markdown_text=page
                        )
                        sent.append((page, str(posted["ts"])))
                    elif page != sent[at][0]:
                        await slack.chat_update(
                            channel=asked["channel"], ts=sent[at][1], markdown_text=page
                        )
                        sent[at] = (page, sent[at][1])
        except StreamError as error:
            await slack.chat_postMessage(
                **thread, text=f"The answer broke off ({error.kind})."
            )


async def receive(
    client: AsyncBaseSocketModeClient, request: SocketModeRequest
) -> None:
    """Acknowledge what Slack sends, and answer a person who mentions the bot."""
    await client.send_socket_mode_response(
        SocketModeResponse(envelope_id=request.envelope_id)
    )
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
