"""The list of repairs in docs/reports/repairs.md."""

from __future__ import annotations

import re
from typing import Any, get_args

from tests.partial_json.lenient_texts import ended
from tests.project import ROOT
from tests.support.tables import in_one_test
from tokenstream import ToolCall
from tokenstream.events import ToolCallDone
from tokenstream.partial_json._repairs import Repair, RepairName
from tokenstream.stages import ToolTags, ValidatedCalls

_PAGE = (ROOT / "docs" / "reports" / "repairs.md").read_text("utf-8")
_ROW = re.compile(r"^\| `(\w+)` \| .+ \| (`{1,4}) ?(.+?) ?\2 \| `(.+)` \|$", re.MULTILINE)
_ROWS = [(name, example, value) for name, _, example, value in _ROW.findall(_PAGE)]


def mix(a: list[int]) -> None:
    """Mix."""


def test_the_page_lists_every_repair() -> None:
    assert list(get_args(RepairName)) == sorted(get_args(RepairName)) == [name for name, _, _ in _ROWS]


@in_one_test("name, example, value", _ROWS)
def test_an_example_takes_its_repair(name: str, example: str, value: str) -> None:
    if name == "json_in_string":
        # Only the schema of a tool tells such a string from a text.
        call = ToolCall(id="c", name="mix", arguments_text=example, complete=True)
        [checked] = ValidatedCalls(mix, lenient=True).feed(call)
        assert ([name], value) == ([repair.name for repair in checked.repairs], repr(checked.arguments))
        return
    if name == "tool_name":
        tags = ToolTags(tools=[value.strip("'")])
        [done] = [
            each for each in tags.feed(f"<tool_call>{example}</tool_call>") if isinstance(each, ToolCallDone)
        ]
        assert ([name], value) == ([repair.name for repair in done.call.repairs], repr(done.call.name))
        return
    options: dict[str, Any] = {"document": "last"} if name == "other_document" else {}
    parser = ended(example.replace("⏎", "\n"), **options)

    assert parser.error is None
    assert name in {repair.name for repair in parser.repairs}
    assert value == repr(parser.value)


def test_a_repair_is_a_pair_of_name_and_offset() -> None:
    (repair,) = ended('{"a": 1,}').repairs
    name, offset = repair

    assert Repair("trailing_comma", 7) == repair == (name, offset)
