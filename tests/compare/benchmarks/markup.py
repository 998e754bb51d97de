"""What a stream that reads calls in its text costs, where the text has none, beside one that does not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.bodies import openai_chat_of, tokens
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tests.support.texts import pieces_of
from tokenstream import Stream, Tags

if TYPE_CHECKING:
    from tests.compare.benchmarks.timing import Plan

_SIZES = (4, 40)
_UNITS = {
    "Python": "def f(x):\n    if x < 3 and y[0] >= 2:\n        return [x, {'a': x}]\n    return x * 2\n\n",
    "C": "for (i = 0; i < n; i++) {\n\tif (a[i] < b->size << 1)\n\t\treturn a[i] - b->size;\n}\n",
    "HTML": '<ul class="a">\n  <li><a href="/x/1">One</a> and <b>two</b></li>\n</ul>\n<p>A text.</p>\n',
}


def _read(chunks: list[bytes], **options: Any) -> None:
    for _ in Stream(chunks, format="openai-chat", **options):
        pass


def markup(plan: Plan) -> list[Table]:
    """Return the µs of a piece of text, by its length, and how many times as many the option takes."""
    words = "".join([token for token in tokens(5 * plan.events) if not {"<", "["} & {*token}])
    texts = {"prose": words, **{name: unit * (len(words) // len(unit)) for name, unit in _UNITS.items()}}
    rows = []
    for name, text in texts.items():
        row = [name]
        for size in _SIZES:
            chunks = openai_chat_of(pieces_of(text, size)).chunks
            runs = [partial(_read, chunks), partial(_read, chunks, tags=Tags(calls=True))]
            plain, read = fastest([partial(partial, run) for run in runs], plan.rounds)
            row += [f"{plain / len(chunks) * 1e6:.1f}", f"{read / plain:.2f}"]
        rows.append(row)
    head = ["", *[cell for size in _SIZES for cell in (f"µs, pieces of {size}", "× with Tags(calls=True)")]]
    return [Table(f"calls in the text: {len(words):,} characters without one", head, rows)]
