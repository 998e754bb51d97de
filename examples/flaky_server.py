"""Read an answer that breaks off three times, and print it once and whole.

The server is on this machine: it resets the first connection, ends the second
answer in the middle as if that were its end, has a proxy refuse the third
request, and gives the whole answer to the fourth.
"""

from tokenstream import Retry, connect, testing
from tokenstream.errors import StatusError
from tokenstream.recovery import Attempt
from tokenstream.testing import faults

TEXT = (
    "A river does not mind a stone. It parts, goes around on both sides, and is one river again "
    "behind it; whoever sits further down and listens hears nothing of the stone at all."
)
WHOLE = (
    testing.script()
    .text(*[f"{word} " for word in TEXT.split()])
    .usage(input_tokens=12, output_tokens=41)
    .finish("stop")
    .recording("openai-chat")
)
ANSWERS = [
    WHOLE.with_fault(faults.reset(at=0.3)),
    WHOLE.with_fault(faults.cut(at=0.7)),
    WHOLE.with_fault(faults.html_instead(502)),
    WHOLE,
]
ONE_BY_ONE = faults.slow(0.02)  # seconds between two words, as from a model


def tell(attempt: Attempt) -> None:
    """Say why there is another attempt."""
    if not isinstance(attempt.error, StatusError):
        print()  # behind the text that has come
    print(f"  [{type(attempt.error).__name__}: asking again in {attempt.wait:.1f} s]")


retry = Retry(mode="restart", attempts=4, wait=0.2, on_retry=tell)
with (
    testing.serve(ANSWERS, fault=ONE_BY_ONE) as server,
    connect(f"{server.url}/v1/chat/completions", json={"stream": True}, retry=retry) as stream,
):
    for piece in stream.text:
        print(piece, end="", flush=True)

print("\n")
for report in stream.attempts:
    ended = "the whole answer" if report.error is None else str(report.error).partition("; ")[0]
    print(f"attempt {report.number}, {report.seconds:.1f} s: {ended}")
print(f"ending: {stream.message.ending}; each word came once: {stream.message.text.split() == TEXT.split()}")
