"""A relay in front of a provider: ten lines between a model and a browser.

Under uvicorn it asks a real provider, and sends the answer on as our own events:

    OPENAI_API_KEY=… uvicorn --app-dir examples relay:app
    curl -N localhost:8000/chat -d '{"model": "…", "stream": true, "messages": [{"role": "user", …}]}'

Run as a script, the same application asks a scripted provider on this machine.
"""

import asyncio
import os

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenstream import Stream, aconnect, relay, testing

PROVIDER = "https://api.openai.com"


async def chat(request: Request) -> Response:
    """Send the model's answer; the key stays on the server."""
    url = f"{os.environ.get('PROVIDER', PROVIDER)}/v1/chat/completions"
    key = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    return relay.respond(aconnect(url, json=await request.json(), headers=key))


app = Starlette(routes=[Route("/chat", chat, methods=["POST"])])


async def main() -> None:
    """Ask a scripted provider, and print the bytes that a browser would get, and the text in them."""
    script = testing.script().text("The sky ", "is blue.").finish("stop")
    request = {"model": "example-model", "stream": True, "messages": [{"role": "user", "content": "Why?"}]}
    with testing.serve(script) as provider:
        os.environ["PROVIDER"] = provider.url
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as browser:
            answer = await browser.post("/chat", json=request)
    print(answer.text)
    print(Stream(answer.content).final().text)


if __name__ == "__main__":
    asyncio.run(main())
