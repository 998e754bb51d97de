"""Show a Markdown answer in a web page while it arrives: only the last block is ever replaced.

It prints the changes that a server would send to the page, each as a line of JSON.
`--page FILE` writes a page that plays them. It needs markdown-it-py.

HTML in the answer is shown as text: a model's answer may quote anybody.
"""

import html
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tokenstream import Stream
from tokenstream.stages import MarkdownBlock, MarkdownBlocks

ANSWER = """\
## Reading a file *line by line*

An open file **is an iterator**, so a `for` loop holds one line at a time
([documentation](https://docs.python.org/3/tutorial/inputoutput.html)):

```python
def longest(path: str) -> str:
    best = ""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if len(line) > len(best):
                best = line
    return best.rstrip("\\n")
```

| way           | memory    |
|---------------|-----------|
| `for line in` | one line  |
| `.readlines()`| the file  |

1. Name the encoding; see [the PEP][686].
2. What looks like <script>alert("HTML")</script> is text, and [this](javascript:alert) is no link.

[686]: https://peps.python.org/pep-0686/
"""
PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>An answer</title>
<main id="answer"></main>
<script>
const changes = CHANGES;
function take({id, html, append}) {
  let block = document.getElementById(id);
  if (!block) {
    block = document.createElement("section");
    block.id = id;
    document.getElementById("answer").append(block);
  }
  if (append === undefined) block.innerHTML = html;
  else block.querySelector("code").append(append);
}
const timer = setInterval(() => changes.length ? take(changes.shift()) : clearInterval(timer), 20);
</script>
"""


class Change(TypedDict, total=False):
    """A change of the page: new HTML for a block, or text to append to its code."""

    id: str
    html: str
    append: str


def as_text(_renderer: object, tokens: Sequence[Token], at: int, *_: object) -> str:
    """Return a token of HTML, escaped."""
    return html.escape(tokens[at].content)


def renderer() -> MarkdownIt:
    """Return a renderer that shows HTML as text.

    The option `html=False` would do that, too, but would end blocks at other places than
    `MarkdownBlocks` does: it treats a comment as a paragraph that the next line continues.
    """
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for kind in ("html_block", "html_inline"):
        markdown.add_render_rule(kind, as_text)
    return markdown


class Page:
    """The blocks of an answer as HTML, and their changes."""

    def __init__(self) -> None:
        self._markdown = renderer()
        self._blocks = MarkdownBlocks()
        self._shown: tuple[int, str] = (-1, "")
        """Id of the block sent last, and its HTML."""
        self._sent = 0
        """Characters of the open code block sent so far; each line is sent once."""
        self._unresolved: list[MarkdownBlock] = []

    def changes(self, pieces: Iterable[str]) -> Iterator[Change]:
        """Yield the changes of the page for each piece of the answer."""
        for piece in pieces:
            for block in self._blocks.feed(piece):
                yield from self._change(block)
        for block in self._blocks.end():
            yield from self._change(block)
        known = self._blocks.definitions
        for block in self._unresolved:
            # The targets of these links are known only now.
            late = [known[label] for label in block.unresolved if label in known]
            yield from self._replace(block, "\n".join([block.definitions, *late]))

    def _change(self, block: MarkdownBlock) -> Iterator[Change]:
        if (
            block.kind == "fence"
            and not block.closed
            and not block.text.startswith(" ")
        ):
            yield from self._append(block)
            return
        self._sent = 0
        if block.closed and block.unresolved:
            self._unresolved.append(block)
        yield from self._replace(block, block.definitions)

    def _append(self, block: MarkdownBlock) -> Iterator[Change]:
        text, settled = block.text, block.settled
        if not self._sent:
            yield from self._replace(block, "", text[:settled])
        elif settled > self._sent:
            yield {"id": f"block-{block.id}", "append": text[self._sent : settled]}
        self._sent = settled

    def _replace(
        self, block: MarkdownBlock, definitions: str, text: str | None = None
    ) -> Iterator[Change]:
        shown = self._markdown.render(
            f"{definitions}\n\n{block.text if text is None else text}"
        )
        if shown and (block.id, shown) != self._shown:
            self._shown = block.id, shown
            yield {"id": f"block-{block.id}", "html": shown}


def main() -> None:
    """Print the changes, or write the page that plays them."""
    pieces = [ANSWER[at : at + 4] for at in range(0, len(ANSWER), 4)]
    with Stream(pieces, format="pieces") as stream:
        lines = [json.dumps(change) for change in Page().changes(stream.text)]
    if "--page" in sys.argv:
        # No tag or comment may begin inside a script.
        played = f"[{', '.join(lines)}]".replace("<", "\\u003c")
        Path(sys.argv[sys.argv.index("--page") + 1]).write_text(
            PAGE.replace("CHANGES", played), "utf-8"
        )
        return
    print("\n".join(lines))


if __name__ == "__main__":
    main()
