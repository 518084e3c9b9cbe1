"""JSON is found among words, and read while it grows at a cost that does not grow with the pieces."""

import json
from itertools import pairwise

import jiter
import pytest

from stretto.models import partial
from stretto.models.partial import PartialJson, json_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' {"a": 1}\n', '{"a": 1}'),
        ('```json\n{"a": "}"}\n```', '{"a": "}"}'),
        ('Use {x}, so: {"a": [1, {"b": "{"}]} as asked.', '{"a": [1, {"b": "{"}]}'),
        ('<think>{"a": 0}?</think>{"a": 1}', '{"a": 1}'),
        ('it is 5" wide: {"a": 5}', '{"a": 5}'),
        ("{ not closed", "{ not closed"),
        ("{]}", "{]}"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_the_last_json_value_of_a_text_is_found(text: str, found: str) -> None:
    assert json_in(text) == found


def test_an_answer_of_the_wanted_kind_is_preferred() -> None:
    assert json_in('Of [1, 2] I take {"a": 1} [3]', "{") == '{"a": 1}'


def test_many_open_brackets_cost_no_more_than_a_few_readings() -> None:
    assert json_in("x" + "{[" * 50_000) == "x" + "{[" * 50_000


def grown(text: str, size: int, **options) -> tuple[PartialJson, list]:
    reader, values = PartialJson(**options), []
    for at in range(0, len(text), size):
        if reader.add(text[at : at + size]):
            values.append(reader.value)
    return reader, values


def test_a_value_grows_with_its_text_and_each_is_a_beginning_of_the_next() -> None:
    _, values = grown('{"name": "Anna", "tags": ["a", "b"]}', 4)
    assert values[0] == {}
    assert {"name": "A"} in values or {"name": "An"} in values
    assert values[-1] == {"name": "Anna", "tags": ["a", "b"]}
    names = [value.get("name", "") for value in values]
    assert all(later.startswith(earlier) for earlier, later in pairwise(names))


def test_words_before_it_a_fence_and_thoughts_are_passed_over() -> None:
    reader, values = grown('<think>{"no": 1}</think>Here:\n```json\n{"a": 1}\n```', 1)
    assert all("no" not in value for value in values)
    assert reader.value == {"a": 1}


def test_what_is_taken_back_leaves_the_value() -> None:
    reader = PartialJson()
    reader.add('{"a": "bc"')
    assert reader.retract(2)
    assert reader.value == {"a": "b"}
    assert reader.retract(100)
    assert reader.value is None
    assert reader.add('{"z": 1}')
    assert reader.value == {"z": 1}


def test_the_bytes_read_in_all_are_at_most_eighteen_times_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    read, parse = 0, jiter.from_json

    def counted(data: bytes, **options):
        nonlocal read
        read += len(data)
        return parse(data, **options)

    monkeypatch.setattr(partial.jiter, "from_json", counted)
    text = json.dumps({"rows": [{"id": number, "name": f"row {number}"} for number in range(2000)]})
    _, values = grown(text, 3, every=1e9)
    assert len(values) > 50
    assert read <= 18 * len(text)


def test_time_alone_brings_a_reading_of_a_long_text() -> None:
    now = 0.0
    reader = PartialJson(every=0.05, clock=lambda: now)
    reader.add('{"a": "' + "x" * 1000)
    assert not reader.add("y")
    now = 0.06
    assert reader.add("z")
    assert reader.value["a"].endswith("xyz")
