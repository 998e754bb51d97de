"""Parse any event stream, without the rest of the library."""

from tokenstream.framing import SSEParser

CHUNKS = [
    b"\xef\xbb\xbf: a comment\r\n\r\nid: 1\nda",
    b"ta: first\n\nevent: progress\ndata: two\ndata: lines\r",
    b"\n\r\nretry: 3000\n\ndata: never en",
    b"ded",
]

parser = SSEParser()
for chunk in CHUNKS:
    for event in parser.feed(chunk):
        print(repr(event.event), repr(event.data), "id", repr(event.id))
parser.end()

print("comments:", parser.comments)
print("reconnect after:", parser.retry, "ms, with id", repr(parser.last_event_id))
print("unfinished:", parser.tail)
