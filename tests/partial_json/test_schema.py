"""What a type asks of a document."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Annotated, Any, Literal
from weakref import ref

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model, v1

from tests.partial_json.typed import draft_of
from tests.partial_json.typed_models.shapes import PutOff, Step
from tokenstream import Stream, Tools, testing
from tokenstream.errors import InvalidJSON, MisuseError, OutputInvalid
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.stages._objects.partials import Partials

_FIELDS: dict[str, Any] = {"step": ("Nowhere", ...)}
Unbuilt: Any = create_model("Unbuilt", **_FIELDS)
"""A model of a class that is defined nowhere."""


@pytest.mark.parametrize(
    "type_, title",
    [
        (Step, "Step"),
        (int, "int"),
        (list[Step], "list[Step]"),
        (dict[str, list[Step]], "dict[str, list[Step]]"),
        (int | None, "int | None"),
        (Any, "Any"),
        (TypeAdapter(Step), "Step"),
        (TypeAdapter(list[int]), "list[int]"),
    ],
)
def test_a_schema_is_called_what_its_type_is_called(type_: Any, title: str) -> None:
    """Titles stand in messages and reprs: without modules, with what generics are made of."""
    schema: Schema[Any] = Schema.of(type_)

    assert title == schema.title


@pytest.mark.parametrize(
    "make",
    [
        lambda: list[Step],
        lambda: Step | None,
        lambda: dict[str, tuple[Step, ...] | None],
        lambda: list[Literal["a", 1]],
    ],
)
def test_what_is_made_of_classes_is_looked_through_once(make: Callable[[], Any]) -> None:
    """An alias is a new object wherever it is written, and its schema the same."""
    assert Schema.of(make()) is Schema.of(make())


@pytest.mark.parametrize(
    "one, other",
    [
        (float | int, int | float),
        (list[int | bool], list[bool | int]),
        (Literal[1, "a"], Literal[True, "a"]),
        (list[Literal[0]], list[Literal[False]]),
        (Annotated[int, Field(gt=1)], Annotated[int, Field(gt=True)]),
    ],
)
def test_what_is_equal_but_not_the_same_has_a_schema_of_its_own(one: Any, other: Any) -> None:
    """Python takes unions in another order for the same, and 1 for True; pydantic does not."""
    first, second = Schema.of(one), Schema.of(other)

    assert first is not second
    for schema, type_ in ((first, one), (second, other)):
        for text in ("1", "true", "1.0", '"a"', "[1]", "[true]", "[0]", "[false]"):
            assert _said(schema, text) == _said(TypeAdapter[Any](type_), text)


def _said(reader: Any, text: str) -> str:
    read = reader.validate_text if isinstance(reader, Schema) else reader.validate_json
    try:
        return repr(read(text))
    except (ValueError, OutputInvalid):
        return "invalid"


def test_an_adapter_is_looked_through_once_and_let_go() -> None:
    adapter: TypeAdapter[list[Step]] = TypeAdapter(list[Step])
    schema = Schema.of(adapter)

    assert schema is Schema.of(adapter)
    adapter.rebuild(force=True, _parent_namespace_depth=0)
    assert schema is not Schema.of(adapter)
    left = ref(adapter)
    del adapter
    gc.collect()
    assert left() is None


def test_text_that_breaks_the_schema_is_invalid() -> None:
    """OutputInvalid has pydantic's errors and the text, and says what it was meant to be."""
    with pytest.raises(OutputInvalid, match="not a valid Step: at title") as caught:
        Schema.of(Step).validate_text("{}")

    assert ("{}", [("missing", ("title",))]) == (
        caught.value.text,
        [(error["type"], error["loc"]) for error in caught.value.errors],
    )


def test_text_that_is_no_json_says_where() -> None:
    """InvalidJSON has the offset of the first character that cannot follow."""
    with pytest.raises(InvalidJSON) as caught:
        Schema.of(Step).validate_text('{"title": ]')

    assert (10, '{"title": ]') == (caught.value.offset, caught.value.text)


def test_json_that_only_pydantic_refuses_is_invalid() -> None:
    """Half a surrogate pair is JSON, but no text that pydantic reads."""
    with pytest.raises(OutputInvalid) as caught:
        Schema.of(str).validate_text('"\\ud800"')

    assert OutputInvalid is type(caught.value)


class Plain:
    pass


@pytest.mark.parametrize(
    ("type_", "named"),
    [
        (Unbuilt, "Unbuilt"),
        ("Nowhere", "Nowhere"),
        (Plain, "for Plain,"),
        (Plain(), "for an object of Plain,"),
        (3, "for an object of int,"),
    ],
)
def test_a_type_that_has_no_schema_is_misuse(type_: Any, named: str) -> None:
    """The message names the type and says what helps; of what is no type at all it shows nothing."""
    match = r"^no schema can be built for .*(model_rebuild|a dataclass)"
    with pytest.raises(MisuseError, match=match) as caught:
        Partials(type_)

    assert named in str(caught.value)


class Old(v1.BaseModel):
    title: str


@pytest.mark.parametrize("asked", [Old, Old(title="private")])
def test_a_model_of_pydantic_1_is_misuse(asked: Any) -> None:
    stream = Stream([])
    for read in (stream.result, stream.partials, stream.items):
        with pytest.raises(MisuseError, match=r"^Old is a model of pydantic 1 .*: derive it from") as caught:
            read(asked)
        assert "private" not in str(caught.value)
    with pytest.raises(MisuseError, match=r"pydantic 1|no tool"):
        stream.validated_calls(asked)
    stream.close()


def test_an_object_in_place_of_its_class_is_misuse() -> None:
    with pytest.raises(MisuseError, match=r"^an object of \w+ is not a type: pass the class itself$"):
        Partials(Step(title="private", minutes=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_an_adapter_that_has_no_schema_is_misuse() -> None:
    """An adapter whose building was put off is built, and says so where that fails."""
    adapter: Any = TypeAdapter(Unbuilt)

    with pytest.raises(MisuseError, match="the type of the adapter"):
        Partials(adapter)


def test_a_model_whose_building_was_put_off_is_built() -> None:
    """`defer_build` is for the import; a draft needs the schema."""
    adapter: TypeAdapter[PutOff] = TypeAdapter(PutOff, _parent_depth=2)

    assert (
        PutOff(a=1)
        == Schema.of(PutOff).validate_text('{"a": 1}')
        == Schema.of(adapter).validate_text('{"a": 1}')
    )


def test_a_model_of_a_function_is_read() -> None:
    """Annotations that are text are resolved where the model was made."""

    class Inner(BaseModel):
        x: int

    class Outer(BaseModel):
        inner: Inner
        outer: Outer | None = None

    draft = draft_of(Outer, '{"inner": {"x": 1}, "outer": {"inner": {"x": 2}}}')

    assert Outer(inner=Inner(x=1), outer=Outer(inner=Inner(x=2))) == draft.partial().final()


def test_the_config_of_an_adapter_holds_inside() -> None:
    """What an adapter was configured with is asked of each element as it is finished."""
    draft = draft_of(TypeAdapter(list[int], config=ConfigDict(strict=True)), '["1", ')

    assert ["int_type"] == [error["type"] for error in draft.partial().errors]


class Bill(msgspec.Struct):
    total: float


@pytest.mark.parametrize("asked", [Bill, list[Bill], Bill | None])
def test_a_struct_of_msgspec_is_misuse_that_says_how_to_convert(asked: Any) -> None:
    advice = (
        r"^Bill is a msgspec Struct, which is not read: .* msgspec\.convert\(stream\.result\(dict\), Bill\)$"
    )
    stream = testing.script().text('{"total": 7.5}').finish("stop").stream("openai-chat")
    for read in (stream.result, stream.partials, stream.items, lambda each: Tools(tool=each)):
        with pytest.raises(MisuseError, match=advice):
            read(asked)

    assert Bill(7.5) == msgspec.convert(stream.result(dict), Bill)
