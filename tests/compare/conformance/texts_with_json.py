"""Texts of models with one JSON document among other text, each with the value that a reader should find.

A text that could mean two values, or whose end is missing where the end matters, has no value: the right
answer is to refuse it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict


class Order(BaseModel):
    """What the texts order; no field has a default."""

    model_config = ConfigDict(strict=True, extra="forbid")

    dish: str
    count: int
    notes: list[str]


class TextWithJSON(NamedTuple):
    """A text, and the value that is right.

    Args:
        value: The value as plain data; None if the text is to be refused.
    """

    text: str
    value: Any
    type: Any = Order


_SOUP = {"dish": "soup", "count": 2, "notes": ["hot", "no salt"]}
_CAKE = {"dish": "cake", "count": 1, "notes": []}
_J = '{"dish": "soup", "count": 2, "notes": ["hot", "no salt"]}'
_LINES = '{\n  "dish": "soup",\n  "count": 2,\n  "notes": [\n    "hot",\n    "no salt"\n  ]\n}'
_K = '{"dish": "cake", "count": 1, "notes": []}'
_F = f"```json\n{_J}\n```"
_G = f"```json\n{_K}\n```"
_TAGGED = '{"dish": "soup", "count": 2, "notes": ["[1]", "<b>"]}'

_BY_GROUP: dict[str, list[tuple[Any, ...]]] = {
    "alone and in fences": [
        (_J, _SOUP),
        (_LINES, _SOUP),
        (f"\n\n  {_J}\n\n", _SOUP),
        (_F, _SOUP),
        (f"```\n{_J}\n```", _SOUP),
        (f"```JSON\n{_LINES}\n```\n", _SOUP),
        (f"~~~json\n{_J}\n~~~", _SOUP),
        (f"````json\n{_J}\n````", _SOUP),
        (f"```json {_J} ```", _SOUP),
        (f"```json\n{_J}", _SOUP),
        (f"`{_J}`", _SOUP),
        (f"```javascript\n{_J}\n```", _SOUP),
        (f"  ```json\n  {_J}\n  ```", _SOUP),
        (f"> ```json\n> {_J}\n> ```", _SOUP),
    ],
    "prose before and after": [
        (f"Here is your order:\n{_J}", _SOUP),
        (f"Here is your order: {_J}. Enjoy!", _SOUP),
        (f"Sure!\n\n{_F}\n\nLet me know if you'd like anything else.", _SOUP),
        (f"**Order**\n\n{_J}\n\n*Prices may vary.*", _SOUP),
        (f"1. Read the menu.\n2. Order:\n\n   {_J}\n\n3. Wait.", _SOUP),
        (f"The set {{soup, cake}} is on the menu.\n{_F}", _SOUP),
        (f"Replace {{name}} by yours.\n{_J}\nThen send it to {{address}}.", _SOUP),
        (f"Don't use `{{}}` here.\n{_J}", _SOUP),
        (f'He said "soup", so:\n{_F}', _SOUP),
        (f"# Order\n{_J}\n# End", _SOUP),
        (f"| a | b |\n|---|---|\n| 1 | 2 |\n\n{_J}", _SOUP),
        (f"{_F}\n\n- `dish`: what to cook\n- `notes`: a list, such as [a, b]", _SOUP),
        (f"result = {_J};", _SOUP),
        (f"const order = {_J};\nsend(order);", _SOUP),
        (f"order[0] = {_J}", _SOUP),
        (f"{_J}\n\nRead it with order['dish'] or order[\"count\"].", _SOUP),
        ("There is nothing to order today.", None),
        ("Please write {dish} and [count].", None),
    ],
    "sources, footnotes and marks": [
        (f"{_J}\n[1]: https://menu.example", _SOUP),
        (f"{_F}\n\n[1]: https://menu.example\n[2]: https://shop.example", _SOUP),
        (f"{_F}\n\n[1] The menu\n[2] The shop", _SOUP),
        (f"{_F}\n\n[^1]: The menu of the day.", _SOUP),
        (f"As the menu says [1, 2]:\n{_F}\n\n[1]: a\n[2]: b", _SOUP),
        (f"{_J} [1]", _SOUP),
        (f"{_J} [1][2]", _SOUP),
        (f"{_J}\n\nSource: [The menu](https://menu.example)", _SOUP),
        (f"{_F}\n[The menu](https://menu.example)", _SOUP),
        (f"[1] {_J}", _SOUP),
        (f"[Order]\n{_J}", _SOUP),
        (f"[soup](https://menu.example) is on.\n{_J}", _SOUP),
        (f"- [x] read\n- [ ] cooked\n\n{_F}", _SOUP),
        (f"[x] read\n{_F}", _SOUP),
        (f"{_F}\n\n[!NOTE]\nThe soup is hot.", _SOUP),
        (f"{_J}\n【4†menu】", _SOUP),
        (f"[TOOL_CALLS] {_J}", _SOUP),
        (f"{_J}\n[DONE]", _SOUP),
        (f"{_J}[END]", _SOUP),
        (f"{_J}<|end|>", _SOUP),
        (f"[Note: the menu changed] {_J}", _SOUP),
        (f"{_TAGGED}\n[1]: a", {"dish": "soup", "count": 2, "notes": ["[1]", "<b>"]}),
    ],
    "logs and terminals": [
        (f"[08:15:00] INFO order {_J}", _SOUP),
        (f"[2026-03-01T08:15:00Z] {_J}", _SOUP),
        (f"2026-03-01 08:15:00 [info] order={_J}", _SOUP),
        (f"[INFO] [kitchen] {_J}", _SOUP),
        (f"[2/5] {_J}", _SOUP),
        (f"[40%] {_J}\n[100%] done", _SOUP),
        (f"[0.003s] {_J}", _SOUP),
        (f"$ order --json\n{_J}\n$ ", _SOUP),
        (f"\x1b[32m{_J}\x1b[0m", _SOUP),
        (f"data: {_J}\n\ndata: [DONE]\n\n", _SOUP),
        (f"HTTP/1.1 200 OK\ncontent-type: application/json\n\n{_J}", _SOUP),
        (f">>> order()\n{_J}", _SOUP),
    ],
    "several documents": [
        (f"{_J}\n{_J}", _SOUP),
        (f"{_F}\n\nThe same in one line:\n{_J}", _SOUP),
        (f'You asked for {{"dish": "soup"}}:\n{_J}', _SOUP),
        (f'The schema is {{"type": "object", "required": ["dish"]}}.\n{_F}', _SOUP),
        (f'```json\n{{"dish": "a text", "count": "a number"}}\n```\nSo:\n{_F}', _SOUP),
        (f'{_F}\n\nIt was priced with {{"price": 4.5}}.', _SOUP),
        (f"{_J}\n\nUse {{'dish': 'x'}} for another.", _SOUP),
        (f"{_J}\n[]", _SOUP),
        (f"[]\n{_J}", _SOUP),
        (f"[1, 2, 3]\n{_J}", _SOUP),
        (f'{_J}\n["hot", "cold"]', _SOUP),
        (f'{{"ok": true}}\n{_J}\n{{"ok": false}}', _SOUP),
        (f"{{}}\n{_J}", _SOUP),
        (f"{_J}\n{_K}", None),
        (f"{_J} or {_K}", None),
        (f"{_F}\n\nNo, better:\n{_G}", None),
        (f"I thought of {_K} first.\n{_F}", None),
        (f'{_F}\nor\n```json\n{{"dish": "cake", "count": 1, "notes": ["', None),
        (f"[{_J}, {_K}]", None),
        (f"{_J}\n{_K}", None, list[Order]),
        (f"[{_J}]\n[{_K}]", None, list[Order]),
        (f"Before: {_J}\nAll:\n[{_J}, {_K}]", [_SOUP, _CAKE], list[Order]),
        (f"Of [7, 8]:\n[{_K}]", [_CAKE], list[Order]),
        (f"[1]: a\n[2]: b\n\n[{_K}]", [_CAKE], list[Order]),
        ("The numbers [1] and [2] are:\n[4, 5]", [4, 5], list[int]),
    ],
    "reasoning": [
        (f"<think>Soup? {_K} No.</think>{_J}", _SOUP),
        (f"<think>\nIs [1] right?\n</think>\n\n{_F}", _SOUP),
        (f"{_K} would be wrong.</think>\n{_J}", _SOUP),
        (f"<thinking>{{</thinking>{_J}", _SOUP),
        (f"<reasoning>a [b] {{c}}</reasoning>\n{_J}\n[1]: a", _SOUP),
        (f"<think>{_J}", None),
    ],
    "XML around": [
        (f"<answer>{_J}</answer>", _SOUP),
        (f"<answer>\n{_F}\n</answer>", _SOUP),
        (f"<json>{_J}</json>\nDone.", _SOUP),
        (f"<tool_call>\n{_J}\n</tool_call>", _SOUP),
        (f'<order kind="a">{_J}</order>', _SOUP),
        (f"<notes>[1] from the menu</notes>\n<answer>{_J}</answer>", _SOUP),
        (f"<![CDATA[{_J}]]>", _SOUP),
        (f"<pre><code>{_J}</code></pre>", _SOUP),
        (f"<!-- order -->\n{_J}\n<!-- [1] end -->", _SOUP),
    ],
    "cut": [
        ('{"dish": "soup", "count": 2, "notes": ["hot", "no salt"]', _SOUP),
        ('{"dish": "soup", "count": 2, "notes": ["hot", "no salt"', _SOUP),
        ('```json\n{"dish": "soup", "count": 2, "notes": ["hot", "no salt"]\n', _SOUP),
        ('{"dish": "soup", "count": 2', None),
        ('{"dish": "soup", "count": ', None),
        (f'{_J}\n{{"dish": "cake", "cou', None),
        (f'{_F}\n\nAnd one more:\n```json\n{{"dish": "cake", "count": 1, "no', None),
        ("Here is your order:\n```json\n", None),
        ("[1] The menu\n[2] The sh", None),
        (f"[1]: a\n{_J[:-1]}", _SOUP),
    ],
}

TEXTS = [TextWithJSON(*rest) for texts in _BY_GROUP.values() for rest in texts]
"""All texts."""
