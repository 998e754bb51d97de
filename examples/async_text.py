"""Read two answers at the same time, each in its own task."""

import asyncio
from collections.abc import AsyncIterator

from tokenstream import AsyncStream, Message


async def body(words: list[str], seconds: float) -> AsyncIterator[bytes]:
    """Yield bare text as server-sent events, one word at a time."""
    for word in words:
        await asyncio.sleep(seconds)
        yield f"data: {word}\n\n".encode()
    yield b"data: [DONE]\n\n"


async def read(name: str, source: AsyncIterator[bytes]) -> Message:
    """Print the pieces of one answer as they arrive."""
    async with AsyncStream(source) as stream:
        async for piece in stream.text:
            print(f"{name}: {piece!r}")
        return await stream.final()


async def main() -> None:
    """Read both answers and print them whole."""
    messages = await asyncio.gather(
        read("left", body(["Roses", " are", " red"], 0.02)),
        read("right", body(["Violets", " are", " blue"], 0.03)),
    )
    for message in messages:
        print(message.ending, message.text)


asyncio.run(main())
