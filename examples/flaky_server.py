"""Read an answer that breaks off, with each of the three ways to recover, and print it whole.

A local server breaks off its answer in the middle of the text, and then:

- resume: it has stored its answer, and sends the events after the last one received;
- continue: it is sent the answer so far, and asked to go on;
- restart: it sends the whole answer again; a proxy refuses one of the requests.
"""

from urllib.parse import parse_qs, urlsplit

from tokenstream import Retry, StatusError, connect, testing
from tokenstream.recovery import Attempt
from tokenstream.testing import faults

TEXT = (
    "A river does not mind a stone. It parts, goes around on both sides, and is one river again "
    "behind it; whoever sits further down and listens hears nothing of the stone at all."
)
WORDS = [f"{word} " for word in TEXT.split()]
WHOLE = testing.script().text(*WORDS).usage(input_tokens=12, output_tokens=41).finish("stop")
RESPONSES, CHAT = "openai-responses", "openai-chat"
IN_BACKGROUND = (b'"background":false', b'"background":true')  # as the response says of itself
KEPT = [event.replace(*IN_BACKGROUND) for event in WHOLE.chunks(RESPONSES)]
ONE_BY_ONE = faults.slow(0.01)  # seconds between two words, as from a model


def answer(request: testing.Request) -> testing.Recording:
    """Answer a request in the way that it asks for."""
    seen = parse_qs(urlsplit(request.path).query).get("starting_after")
    if request.route.startswith("/v1/responses"):
        if seen is None:
            return testing.Recording.of(KEPT, format=RESPONSES).with_fault(faults.cut(at=0.5))
        return testing.Recording.of(KEPT[int(seen[0]) + 1 :], format=RESPONSES)
    said = [turn["content"] for turn in request.json["messages"] if turn["role"] == "assistant"]
    if said:
        # The model repeats the last words first, as it was asked to.
        rest = said[0][-40:] + "".join(WORDS)[len(said[0]) :]
        return testing.script().text(*[f"{word} " for word in rest.split()]).finish().recording(CHAT)
    return next(ANSWERS)


ANSWERS = iter(
    [
        WHOLE.recording(CHAT).with_fault(faults.cut(at=0.5)),  # for "continue"
        WHOLE.recording(CHAT).with_fault(faults.reset(at=0.5)),  # for "restart", and then:
        WHOLE.recording(CHAT).with_fault(faults.html_instead(502)),
        WHOLE.recording(CHAT),
    ]
)


def tell(attempt: Attempt) -> None:
    """Print the reason for another attempt."""
    if not isinstance(attempt.error, StatusError):
        print()  # after the text so far
    print(f"  [{type(attempt.error).__name__}: {attempt.mode} in {attempt.wait:.1f} s]")


QUESTION = {"role": "user", "content": "What does a river do about a stone?"}
IN_TURNS = {"messages": [QUESTION], "stream": True}
ASKED = [
    (
        Retry(mode="resume", wait=0.2, on_retry=tell),
        "/v1/responses",
        {"input": [QUESTION], "background": True, "stream": True},
    ),
    (Retry(mode="continue", wait=0.2, on_retry=tell), "/v1/chat/completions", IN_TURNS),
    (Retry(mode="restart", wait=0.2, on_retry=tell), "/v1/chat/completions", IN_TURNS),
]

with testing.serve(answer, fault=ONE_BY_ONE) as server:
    for retry, path, payload in ASKED:
        print(f"--- {retry.mode}")
        with connect(server.url + path, json=payload, retry=retry) as stream:
            for piece in stream.text:
                print(piece, end="", flush=True)
        once = stream.message.text.split() == TEXT.split()
        print(f"\n{len(stream.attempts)} attempts, {stream.message.ending}; each word came once: {once}\n")
