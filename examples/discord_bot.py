"""Answer in Discord: a reply that is edited once a second, and goes on in another one.

Needs discord.py. Set DISCORD_TOKEN and OPENAI_API_KEY, and mention the bot.
"""

import os
from collections.abc import Iterator

import discord

from tokenstream import StreamError, aconnect

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
LIMIT = 2_000  # characters of a message

# What mentions the bot can be read without a further intent; an answer mentions nobody.
bot = discord.Client(
    intents=discord.Intents.default(), allowed_mentions=discord.AllowedMentions.none()
)


def pages_of(text: str) -> Iterator[str]:
    """Yield a text in messages, cut between two words where that is possible."""
    while len(text) > LIMIT:
        end = text.rfind(" ", 1, LIMIT) + 1 or LIMIT
        yield text[:end]
        text = text[end:]
    yield text


async def show(text: str, replies: list[discord.Message]) -> None:
    """Edit the replies that have changed, and send those that are missing."""
    for at, page in enumerate(map(str.strip, pages_of(text))):
        if at == len(replies):
            replies.append(await replies[-1].reply(page or "…"))
        elif page and page != replies[at].content:
            replies[at] = await replies[at].edit(content=page)


@bot.event
async def on_message(asked: discord.Message) -> None:
    """Answer a message that mentions the bot."""
    if asked.author.bot or bot.user not in asked.mentions:
        return
    messages = [{"role": "user", "content": asked.clean_content}]
    request = {"model": "gpt-5.5", "messages": messages, "stream": True}
    replies = [await asked.reply("…")]
    async with aconnect(
        f"{BASE}/chat/completions", json=request, headers=HEADERS
    ) as stream:
        try:
            async for text in stream.text.words().throttle(hz=1).accumulate():
                await show(text, replies)
        except StreamError as error:
            await replies[-1].reply(f"The answer broke off ({error.kind}).")


if __name__ == "__main__":
    bot.run(os.environ["DISCORD_TOKEN"])
