"""Break a stream in the middle of a tool call, and print the content that is kept."""

from collections.abc import Iterator

from tokenstream import Stream, StreamError

CALL = (
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1",'
    b'"function":{"name":"delete","arguments":"{\\"path\\": \\"/srv"}}]}}]}\n\n'
)
BEFORE_THE_CUT = [
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"I will delete "}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"the old logs."}}]}\n\n',
    CALL,
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"funct',
]


def dying_connection() -> Iterator[bytes]:
    """Yield chunks until the connection breaks."""
    yield from BEFORE_THE_CUT
    raise ConnectionResetError("the other side has gone")


with Stream(dying_connection()) as stream:
    try:
        for piece in stream.text:
            print(piece, end="", flush=True)
    except StreamError as error:
        print("\n")
        print("error:    ", type(error).__name__, "- caused by", type(error.__cause__).__name__)
        print("retryable:", error.retryable)
        print("tail:     ", len(error.tail), "bytes of an event that never arrived whole")

message = stream.message
print("ending:   ", message.ending)
print("text:     ", message.text)
for call in message.tool_calls:
    print("call:     ", call.name, call.arguments_text, "(complete)" if call.complete else "(cut: not run)")
print("handed out:", [call.name for call in message.tool_calls if call.complete])
