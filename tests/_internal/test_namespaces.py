"""Each namespace has a text of its own, and only its own are below it."""

from hypothesis import given
from hypothesis import strategies as st
from langgraph.store.base import GetOp, validate_op_namespace

from stretto._internal.namespaces import below, namespace_of, scope, text_of

NAMES = st.text(st.sampled_from("a0%./*\0 ä") | st.characters(exclude_categories=["Cs"]), max_size=6)
SPACES = st.lists(NAMES.filter(bool), min_size=1, max_size=4).map(tuple)


@given(SPACES)
def test_a_namespace_comes_back_from_its_text(namespace: tuple[str, ...]) -> None:
    assert namespace_of(text_of(namespace)) == namespace


@given(SPACES, SPACES)
def test_what_is_below_a_namespace_begins_with_its_labels(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    start, end = below(text_of(one))
    inside = start.encode() <= text_of(other).encode() < end.encode()
    assert inside == (len(other) > len(one) and other[: len(one)] == one)


@given(NAMES, NAMES, NAMES, NAMES)
def test_each_user_of_each_tenant_has_a_scope_that_langgraph_takes(a: str, b: str, c: str, d: str) -> None:
    assert (scope(a, b) == scope(c, d)) == ((a, b) == (c, d))
    validate_op_namespace(GetOp(scope(a, b), "x"))
    assert "*" not in scope(a, b) and scope("langgraph", b)[0] != "langgraph"
