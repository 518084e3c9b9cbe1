"""What stands between a thread and a later graph is decided from two descriptions and the thread's tips."""

from typing import Any

import pytest

from stretto.graph.description import GraphDescription
from stretto.graph.difference import Difference, close_to, difference
from stretto.threads.checkpoint.tips import Start, Tip

OLD = GraphDescription(
    nodes={"a": ("branch:to:a",), "b": ("branch:to:b",)},
    keys={"size": ("int",), "claim": ("shop.Claim",), "text": ("str",)},
    inputs=("text",),
    types={"shop.Claim": {"*number": ("str",), "amount": ("float",)}},
)


def tip(*nodes: str, held: tuple[str, ...] = ()) -> dict[str, Tip]:
    starts = tuple(Start(name) for name in nodes)
    return {"": Tip("1", "x", starts, frozenset(held), True, {}, "")}


def later(**changes: Any) -> GraphDescription:
    return GraphDescription(**{**{name: getattr(OLD, name) for name in OLD.__struct_fields__}, **changes})


def apart(new: GraphDescription, tips: dict[str, Tip], *, going_on: bool = True) -> Difference:
    return difference(tips, OLD, new, going_on=going_on)


def test_what_is_new_stands_in_no_way() -> None:
    more = later(nodes={**OLD.nodes, "c": ()}, keys={**OLD.keys, "more": ("str",)}, edges=(("a", "c"),))
    assert not apart(more, tip("a", held=("size", "claim", "text")))


def test_a_node_that_is_gone_stands_in_the_way_of_going_on_only() -> None:
    gone = later(nodes={"b": ("branch:to:b",)})
    assert apart(gone, tip("a")).gone == ("a",)
    assert not apart(gone, tip("b"))
    assert not apart(gone, tip("a"), going_on=False)


def test_another_name_or_other_ways_move_what_waits() -> None:
    renamed = later(nodes={"c": ("branch:to:c",)}, renamed={"a": "c"})
    assert apart(renamed, tip("a")) == Difference(moved=True)
    assert apart(later(nodes={"a": ("branch:to:a", "join:b+c:a")}), tip("a")).moved


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"*number": ("str",)}, "with `amount`, which the class no longer has"),
        ({"*number": ("int",), "amount": ("float",)}, "`number` was `str` and is `int`"),
        (
            {"*number": ("str",), "amount": ("float",), "*day": ("str",)},
            "without `day`, which the class now needs",
        ),
    ],
)
def test_a_class_that_changed_does_not_fit(now: Any, said: str) -> None:
    found = apart(later(types={"shop.Claim": now}), tip("a", held=("claim",)))
    ((key, why),) = found.unfit
    assert key == "claim" and said in why
    assert found.blocked
    assert not apart(later(types={"shop.Claim": now}), tip("a", held=("size",)))


def test_a_class_with_a_new_field_that_it_does_not_need_fits() -> None:
    now = {"number": ("str", "None"), "amount": ("float",), "day": ("str",)}
    assert not apart(later(types={"shop.Claim": now}), tip("a", held=("claim",)))


def test_a_key_that_every_turn_writes_anew_matters_only_to_a_turn_that_goes_on() -> None:
    new = later(keys={"size": ("int",), "claim": ("shop.Claim",)})
    assert apart(new, tip("a", held=("text",))).unfit == (("text", "is no longer in the state"),)
    assert not apart(new, tip(held=("text",)), going_on=False)


def test_with_migrate_nothing_is_blocked() -> None:
    found = apart(later(keys={}, migrates=True), tip("a", held=("size",)))
    assert not found.blocked


def test_the_new_name_that_is_proposed_is_that_of_a_new_node() -> None:
    assert close_to("a", OLD, later(nodes={"b": (), "zebra": ()})) == "zebra"
    assert close_to("check", OLD, later(nodes={"zebra": (), "checks": ()})) == "checks"
    assert close_to("check", OLD, later(nodes={"zebra": (), "lion": ()})) == "NEW_NAME"
