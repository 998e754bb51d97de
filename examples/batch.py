"""Ask a thousand questions: python batch.py questions.txt 2.00, where the answers may cost two dollars."""

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx

from tokenstream import OutputIncomplete, Purse, Retry, StreamError, aconnect

URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1") + "/chat/completions"
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
AT_ONCE = asyncio.Semaphore(100)
LIMITS, TIMEOUT = httpx.Limits(max_connections=100), httpx.Timeout(None, connect=10)


async def ask(question: str, client: httpx.AsyncClient, retry: Retry) -> dict[str, object]:
    """Return the answer to a question, or the error and what had arrived before it."""
    messages = [{"role": "user", "content": question}]
    options = {"max_completion_tokens": 2_000, "stream": True, "stream_options": {"include_usage": True}}
    request = {"model": "gpt-5-mini", "messages": messages, **options}
    try:
        async with AT_ONCE, aconnect(URL, json=request, client=client, retry=retry) as stream:
            message = await stream.final()
    except (StreamError, OutputIncomplete) as error:
        return {"question": question, "error": error.message, "partial": error.partial.text}
    return {"question": question, "answer": message.text, "finish": message.finish_reason}


def read_open(questions: Path, answered: Path) -> list[str]:
    """Return the questions that have no answer; cut off a last answer that is only half written."""
    written = answered.read_bytes() if answered.exists() else b""
    rows = written[: written.rfind(b"\n") + 1]
    if rows != written:
        os.truncate(answered, len(rows))
    known = {json.loads(row)["question"] for row in rows.splitlines() if row.strip()}
    lines = questions.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and line not in known]


async def ask_all(questions: Path, most: float | None) -> None:
    """Ask the questions that have no answer yet."""
    answered = questions.with_suffix(".answers.jsonl")
    to_ask = read_open(questions, answered)
    purse = None if most is None else Purse(most=most, file=questions.with_suffix(".purse"))
    retry = Retry(attempts=4, most=purse)
    async with httpx.AsyncClient(headers=HEADERS, limits=LIMITS, timeout=TIMEOUT) as client:
        with answered.open("a") as answers, questions.with_suffix(".failures.jsonl").open("w") as failures:

            async def write(question: str) -> None:
                row = await ask(question, client, retry)
                print(json.dumps(row), file=failures if "error" in row else answers, flush=True)

            await asyncio.gather(*map(write, to_ask))


if __name__ == "__main__":
    asyncio.run(ask_all(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None))
