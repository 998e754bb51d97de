"""No call that is handed out has anything that belongs to another call."""

from __future__ import annotations

import random
import re

import pytest

from tests.calls_in_text.support import BARE, WRITERS, Call, broken_in, calls_of, cuts, joined, read, text_of
from tests.support.tables import in_one_test
from tokenstream import Router, Stream, Tags, Tools, testing

DELETE, READ = Call("delete", {"path": "/tmp/x"}), Call("look", {"path": "/home/a"})
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}}
TOOLS = [{"name": name, "parameters": SCHEMA} for name in ("delete", "look", "write_file")]
_TAG = re.compile(r"<[^<>]*>|\[[A-Z_]+\]|\]<\]minimax\[>\[")


def slips(markup: str, end: int) -> list[str]:
    """Return a markup with one to three characters missing before a position, one replaced, a tag missing."""
    missing = {markup[:at] + markup[at + size :] for at in range(end) for size in (1, 2, 3)}
    other = {markup[:at] + mark + markup[at + 1 :] for at in range(end) for mark in ' \n:="x'}
    tags = {markup[: tag.start()] + markup[tag.end() :] for tag in _TAG.finditer(markup, 0, end)}
    return sorted(missing | other | tags)


def borrows(call: Call) -> bool:
    foreign = {"delete": "/home/a", "look": "/tmp/x"}
    return call.name in foreign and foreign[call.name] in str(call.arguments)


def _keeps_apart(written: str, *, most: int | None = None) -> None:
    dialect, write = WRITERS[written]
    markup = write([DELETE, READ])
    texts = slips(markup, min(markup.rindex("look"), markup.index("/home/a")))
    for text in texts if most is None else random.Random(written).sample(texts, min(most, len(texts))):
        for tools in (TOOLS, ()):
            assert not [call for call in calls_of(read([text], dialect, tools=tools)) if borrows(call)], text


@pytest.mark.slow
@pytest.mark.parametrize("written", WRITERS)
def test_no_slip_in_the_first_of_two_calls_gives_it_what_the_second_has(written: str) -> None:
    _keeps_apart(written)


@in_one_test("written", [*WRITERS])
def test_some_slips_in_the_first_of_two_calls_give_it_nothing_of_the_second(written: str) -> None:
    _keeps_apart(written, most=12)


@pytest.mark.parametrize(
    "parameter", ["<parameter=path: /tmp/x\n</parameter>", "<parameter=\n/tmp/x\n</parameter>"]
)
@pytest.mark.parametrize("outer", [("<tool_call>\n", "\n</tool_call>"), ("", "")])
def test_a_parameter_whose_head_has_no_end_ends_with_its_call(parameter: str, outer: tuple[str, str]) -> None:
    first = f"{outer[0]}<function=delete>\n{parameter}\n</function>{outer[1]}"
    text = f"{first}\nThen I look.\n{WRITERS['qwen'][1]([READ])}"
    for pieces in ([text], list(text), cuts(text, range(0, len(text), 7))):
        events = read(pieces, tools=TOOLS)

        assert [READ] == calls_of(events)
        assert 1 == broken_in(events)
        assert "Then I look.\n" in text_of(events)


def test_a_router_runs_the_call_that_is_whole_alone() -> None:
    ran: list[tuple[str, str]] = []

    def delete(path: str, keep: bool = False) -> None:
        """Delete a file."""
        ran.append(("delete", f"{path}{keep}"))

    def look(path: str) -> None:
        """Look at a file."""
        ran.append(("look", path))

    first = (
        "<tool_call>\n<function=delete>\n<parameter=path: /tmp/x\n</parameter>\n</function>\n</tool_call>\n"
    )
    chunks = testing.script().text(first + WRITERS["qwen"][1]([READ])).finish("stop").chunks("openai-chat")
    with Stream(chunks, tags=Tags(calls=True), tools=(tools := Tools(delete, look))) as stream:
        stream.run(Router(tools))

    assert [("look", "/home/a")] == ran
    assert "call_invalid" in stream.departures.details


_TWICE = {
    "qwen": "<function=look>\n{}{}</function>",
    "minimax": '<minimax:tool_call><invoke name="look">{}{}</invoke></minimax:tool_call>',
    "glm": "<tool_call>look{}{}</tool_call>",
    "hermes": '<tool_call>{{"name": "look", "arguments": {{{}, {}}}}}</tool_call>',
}
_PARAMETERS = {
    "qwen": "<parameter=path>\n{}\n</parameter>\n",
    "minimax": '<parameter name="path">{}</parameter>\n',
    "glm": "<arg_key>path</arg_key><arg_value>{}</arg_value>",
    "hermes": '"path": "{}"',
}


@pytest.mark.parametrize("written", _TWICE)
def test_a_parameter_with_two_values_is_of_two_calls(written: str) -> None:
    one, other = (_PARAMETERS[written].format(value) for value in ("/a", "/b"))
    twice, two = _TWICE[written].format(one, one), _TWICE[written].format(one, other)

    assert [Call("look", {"path": "/a"})] == calls_of(read([twice], tools=TOOLS))
    assert 1 == broken_in(read([two], tools=TOOLS))


def _quoted(written: str, by: str, count: int) -> tuple[str, str, Call]:
    dialect, write = WRITERS[written]
    quoted = WRITERS[by][1]([Call("look", {"path": "/a"})] * count)
    meant = Call("write_file", {"path": "d.md", "content": f"So:\n{quoted}\nThat is how."})
    return dialect, write([meant]), meant


_LINES = [each for each in WRITERS if WRITERS[each][0] not in BARE | {"gemma"}]


@in_one_test(("written", "by"), [(each, by) for each in _LINES for by in _LINES])
def test_a_file_that_quotes_calls_is_whole_or_not_written(written: str, by: str) -> None:
    for count in (1, 2):
        dialect, text, meant = _quoted(written, by, count)
        events = read([text], dialect, tools=TOOLS)

        assert calls_of(events) in ([], [meant])
        assert (calls_of(events) == []) == bool(broken_in(events))


@pytest.mark.parametrize("by", _LINES)
@pytest.mark.parametrize("written", ["hermes", "qwen", "glm", "dsml", "minimax_m3", "kimi_k3", "gemma4"])
def test_a_quoted_call_is_the_same_at_every_cut(written: str, by: str) -> None:
    """A value is read to its end before it is known to have another call."""
    dialect, text, _ = _quoted(written, by, 2)
    expected = joined(read([text], dialect, tools=TOOLS))
    for pieces in (list(text), cuts(text, range(0, len(text), 5))):
        assert expected == joined(read(pieces, dialect, tools=TOOLS))


@pytest.mark.parametrize("written", ["glm", "dsml", "minimax_m3", "hermes", "kimi_k3"])
def test_a_file_that_names_the_markup_is_written(written: str) -> None:
    """A head without the parameter that would follow it is text, and so is an end."""
    dialect, write = WRITERS[written]
    markup = write([READ])
    for words in (markup[: markup.index("look") + 4] + " begins it.", "It ends with " + markup[-12:]):
        call = Call("write_file", {"content": words})

        assert [call] == calls_of(read([write([call])], dialect, tools=TOOLS))
