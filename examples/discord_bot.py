"""Answer in Discord: a reply that is edited once a second, and goes on in another one.

Needs discord.py. Set DISCORD_TOKEN and OPENAI_API_KEY, and mention the bot.
"""

import os
import re
from collections.abc import Iterator

import discord

from tokenstream import StreamError, aconnect

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
LIMIT = 2_000  # characters of a message
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
ENDS = {
    "length": "The answer was cut off: it is too long.",
    "content_filter": "The provider's filter ended the answer.",
}

# What mentions the bot can be read without a further intent; an answer mentions nobody.
nobody = discord.AllowedMentions.none()
bot = discord.Client(intents=discord.Intents.default(), allowed_mentions=nobody)


def pages_of(text: str) -> Iterator[str]:
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
    yield f"{page}\n{mark}" if fence else page


async def show(text: str, replies: list[discord.Message]) -> None:
    """Edit the replies that have changed, and send those that are missing."""
    for at, page in enumerate(map(str.rstrip, pages_of(text))):
        if at == len(replies):
            replies.append(await replies[-1].reply(page or "…"))
        elif page and page != replies[at].content:
            replies[at] = await replies[at].edit(content=page)


@bot.event
async def on_message(asked: discord.Message) -> None:
    """Answer a message that mentions the bot."""
    if asked.author.bot or bot.user is None or bot.user not in asked.mentions:
        return
    me = asked.guild.me if asked.guild else bot.user
    question = asked.clean_content.replace(bot.user.mention, "")
    question = question.replace(f"@{me.display_name}", "").strip()
    messages = [{"role": "user", "content": question}]
    request = {"model": "gpt-5.5", "messages": messages, "stream": True}
    replies = [await asked.reply("…")]
    stream = aconnect(f"{BASE}/chat/completions", json=request, headers=HEADERS)
    try:
        async with stream:
            async for text in stream.text.words().throttle(hz=1).accumulate():
                await show(text, replies)
        empty = "" if stream.message.text.strip() else "The answer is empty."
        end = ENDS.get(str(stream.message.finish_reason), empty)
    except StreamError as error:
        end = f"The answer broke off ({error.kind})."
    if end:
        await replies[-1].reply(end)


if __name__ == "__main__":
    bot.run(os.environ["DISCORD_TOKEN"])
