"""Whatever was cancelled, crashed or cut: a valid history comes out, and the person's words stay."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.messages import Audio, Image, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from stretto.testing import assert_valid_history
from stretto.threads.history import NOT_ENDED, SUMMARY, answered, behind, trimmed, valid_history

IDS = ["", "a", "b", "a_1", "call_1"]
NOTE = {"langchain": {"type": "function"}}

extras = st.sampled_from([{}, {}, {}, NOTE, {"x": 1}, {"x": 1, **NOTE}])
texts = st.builds(Text, st.sampled_from(["", " ", "one", "two", "three"]), extras)
calls = st.builds(ToolCall, st.sampled_from(IDS), st.sampled_from(["look", "pay"]), extra=extras)
results = st.builds(
    ToolResult,
    st.sampled_from(IDS),
    st.lists(texts | st.just(Image("https://a/b.png")), max_size=2).map(tuple),
    st.sampled_from(["look", "pay"]),
    extra=extras,
)
parts = st.one_of(
    texts,
    calls,
    results,
    st.builds(Reasoning, st.just("hm"), extras),
    st.builds(Refusal, st.sampled_from(["", "no"])),
    st.just(Image("https://a/b.png")),
    st.just(Audio("https://a/b.wav", extra=NOTE)),
)
anything = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(parts, max_size=4).map(tuple),
    name=st.sampled_from(["", "", "Ada"]),
    extra=extras,
)


@st.composite
def conversations(draw) -> list[Message]:
    """Turns as agents play them, and then what happens to them."""
    said: list[Message] = [Message.system("Be kind.")] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 5))):
        said.append(Message.user(f"question {turn}"))
        for round in range(draw(st.integers(0, 3))):
            names = [
                f"c{turn}{round}{n}" if draw(st.booleans()) else f"c{n}"
                for n in range(draw(st.integers(1, 3)))
            ]
            said.append(Message.assistant(Text("I look."), *(ToolCall(name, "look") for name in names)))
            done = [ToolResult(name, f"found {turn}", "look") for name in names]
            said += [Message.tool(*done)] if draw(st.booleans()) else [Message.tool(one) for one in done]
        if draw(st.booleans()):
            said.append(Message.assistant(f"answer {turn}"))
    return damaged(said, draw(st.integers(0, 4)), draw(st.integers(0, 1 << 16)))


def damaged(said: list[Message], times: int, seed: int) -> list[Message]:
    """Crashed (the end is gone), left in a tool, answered late, answered twice, cut at the beginning."""
    chance = random.Random(seed)
    for _ in range(times):
        tools = [place for place, message in enumerate(said) if message.role == "tool"]
        how = chance.choice(["crash", "leave", "late", "twice", "cut"])
        if how == "crash":
            said = said[: chance.randrange(len(said) + 1)]
        elif how == "cut":
            said = said[chance.randrange(len(said) + 1) :]
        elif tools:
            place = chance.choice(tools)
            taken = said[place] if how == "twice" else said.pop(place)
            if how != "leave":
                said.insert(chance.randrange(place, len(said) + 1), taken)
    return said


histories = st.lists(anything, max_size=8) | conversations()


def words(messages: Sequence[Message]) -> list[str]:
    """What the person said, word for word, in order."""
    return [word for message in messages if message.role == "user" for word in message.text.split()]


def media(messages: Sequence[Message]) -> int:
    return sum(len(message.media) for message in messages if message.role == "user")


def due(messages: Sequence[Message]) -> list[list[str]]:
    """The ids of the calls of each message, and of the results behind it."""
    found: list[list[str]] = []
    for message in messages:
        if message.role == "assistant" and message.tool_calls:
            found.append([call.id for call in message.tool_calls])
        found += [[part.call_id] for part in message.parts if isinstance(part, ToolResult)]
    return found


@given(histories)
def test_whatever_comes_in_a_valid_history_goes_out(messages: list[Message]) -> None:
    assert_valid_history(valid_history(messages))


def spaced_out(part: Part) -> Part:
    return Text(part.text + " ", part.extra) if isinstance(part, Text) and part.text else part


@given(histories)
def test_nothing_the_person_said_is_lost(messages: list[Message]) -> None:
    spaced = [
        Message(m.role, [spaced_out(part) for part in m.parts], name=m.name, extra=m.extra) for m in messages
    ]
    assert words(valid_history(spaced)) == words(spaced)
    assert media(valid_history(messages)) == media(messages)
    assert words(answered(spaced)) == words(spaced)


@given(histories)
def test_doing_it_twice_changes_nothing(messages: list[Message]) -> None:
    for mended in (answered, valid_history):
        once = mended(messages)
        twice = mended(once)
        assert len(once) == len(twice) and all(one is two for one, two in zip(once, twice, strict=True))


@given(histories)
def test_every_call_has_one_answer_behind_it_in_order_and_no_answer_is_without_its_call(
    messages: list[Message],
) -> None:
    whole = due(answered(messages))
    while whole:
        ids, *whole = whole
        assert [answer for (answer, *_) in whole[: len(ids)]] == ids and "" not in ids
        whole = whole[len(ids) :]


@given(conversations())
def test_an_answer_that_came_is_not_replaced_by_one_that_says_it_did_not(messages: list[Message]) -> None:
    before: dict[str, int] = {}
    came = 0
    for message in messages:
        before.update({call.id: 1 for call in message.tool_calls})
        came += sum(before.pop(part.call_id, 0) for part in message.parts if isinstance(part, ToolResult))
    results = [p for m in answered(messages) for p in m.parts if isinstance(p, ToolResult)]
    assert sum(part.text != NOT_ENDED for part in results) == came


@given(conversations(), st.integers(0, 60), st.integers(0, 1 << 16))
def test_what_is_cut_is_valid_and_keeps_the_rules_the_question_and_whole_rounds(
    messages: list[Message], limit: int, seed: int
) -> None:
    chance = random.Random(seed)
    whole = answered(messages)
    weights = [chance.randrange(1, 10) for _ in whole]
    kept = trimmed(whole, weights, limit)
    assert_valid_history(valid_history(kept))
    places = [next(p for p, one in enumerate(whole) if one is message) for message in kept]
    assert places == sorted(places)
    questions = [message for message in whole if message.role == "user"]
    assert not questions or questions[-1] in kept
    assert [m for m in kept if m.role == "system"] == [m for m in whole if m.role == "system"]
    assert answered(kept) == kept
    if sum(weights) <= limit:
        assert kept == whole
    elif sum(weights[place] for place in places) > limit:  # nothing more could go
        assert sum(message.role == "user" for message in kept) <= 1
        assert sum(message.role == "assistant" for message in kept) <= 1


def turns(number: int) -> list[Message]:
    return [m for n in range(number) for m in (Message.user(f"q{n}"), Message.assistant(f"a{n}"))]


def first_shown(number: int, limit: int) -> str:
    return trimmed(turns(number), [1] * 2 * number, limit)[0].text


def test_a_conversation_that_is_cut_begins_at_the_same_message_for_some_turns_on_end() -> None:
    begins = [first_shown(number, 16) for number in range(1, 21)]
    assert begins == ["q0"] * 8 + ["q4"] * 4 + ["q8"] * 4 + ["q12"] * 4


def test_of_a_last_turn_that_does_not_fit_the_first_rounds_go() -> None:
    said = [Message.system("s"), Message.user("q")]
    for number in range(5):
        said += [
            Message.assistant(ToolCall(f"c{number}", "look")),
            Message.tool(ToolResult(f"c{number}", "x")),
        ]
    kept = trimmed(said, [1] * len(said), 7)
    assert [call.id for message in kept for call in message.tool_calls] == ["c3", "c4"]
    assert [message.role for message in kept[:2]] == ["system", "user"]
    assert [message.role for message in trimmed(said, [9] * len(said), 7)][2:] == ["assistant", "tool"]


def test_a_late_answer_takes_the_place_of_the_one_that_says_it_did_not_end() -> None:
    said = [
        Message.user("pay"),
        Message.assistant(ToolCall("c", "pay")),
        Message.tool(ToolResult("c", NOT_ENDED, "pay", is_error=True)),
        Message.user("and?"),
        Message.tool(ToolResult("c", "paid", "pay")),
        Message.tool(ToolResult("c", "paid again", "pay")),
    ]
    mended = answered(said)
    assert [message.role for message in mended] == ["user", "assistant", "tool", "user"]
    assert mended[2].parts == (ToolResult("c", "paid", "pay"),)


def test_an_id_used_again_in_a_later_turn_has_its_own_answer() -> None:
    said = [
        Message.assistant(ToolCall("c", "pay")),
        Message.user("again"),
        Message.assistant(ToolCall("c", "pay")),
        Message.tool(ToolResult("c", "paid")),
    ]
    left, paid = [
        part for message in answered(said) for part in message.parts if isinstance(part, ToolResult)
    ]
    assert left.text == NOT_ENDED and paid.text == "paid"


def test_calls_without_ids_of_their_own_get_some_and_keep_their_answers() -> None:
    said = [
        Message.assistant(ToolCall("", "a"), ToolCall("", "b"), ToolCall("x", "c"), ToolCall("x", "d")),
        Message.tool(ToolResult("", "1"), ToolResult("", "2"), ToolResult("x", "3"), ToolResult("x", "4")),
    ]
    call, tool = answered(said)
    assert [one.id for one in call.tool_calls] == ["call_1", "call_2", "x", "x_1"]
    assert [part.text for part in tool.parts if isinstance(part, ToolResult)] == ["1", "2", "3", "4"]
    assert_valid_history([call, tool])


def test_questions_in_a_row_become_one_and_those_of_several_people_do_not() -> None:
    asked = [Message.user("one"), Message.user(Image("https://a/b.png"), "two"), Message.user("three")]
    (joined,) = valid_history(asked)
    assert joined.parts == (Text("one"), Image("https://a/b.png"), Text("two\n\nthree"))
    people = [Message("user", "one", name="Ada"), Message("user", "two", name="Ben")]
    assert valid_history(people) == people


def test_rules_in_the_middle_stand_first_and_what_says_nothing_is_left_out() -> None:
    said = [
        Message.user("q"),
        Message.assistant(Reasoning("hm"), Text(" ")),
        Message.system("Be brief."),
        Message.user("r"),
    ]
    assert valid_history(said) == [Message.system("Be brief."), Message.user("q\n\nr")]


def test_what_else_a_tool_message_holds_stays_with_its_last_result() -> None:
    loose: tuple[Part, ...] = (ToolResult("c", "1"), Text("more"))
    said = [Message.assistant(ToolCall("c", "look")), Message("tool", loose)]
    (result,) = answered(said)[1].parts
    assert isinstance(result, ToolResult) and result.text == "1more"


def test_behind_a_summary_stands_what_it_does_not_stand_for() -> None:
    said = [Message("user", str(n), id=str(n)) for n in range(4)]
    summary = Message("user", "before", extra={SUMMARY: {"through": "1", "turns": 2}})
    assert behind(said, summary) == said[2:]
    assert behind(said[2:], summary) == said[2:]  # what it stands for was let go
    assert behind(said, None) == said


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (
            [Message.assistant(ToolCall("c", "x")), Message.user("q")],
            r"\['c'\] have no result before message 1",
        ),
        ([Message.assistant(ToolCall("c", "x"))], r"\['c'\] have no result"),
        ([Message.tool(ToolResult("c", "x"))], "answers `c`, where no call is due"),
        ([Message.assistant(ToolCall("", "x")), Message.tool(ToolResult("", ""))], "needs one of its own"),
        ([Message.user("a"), Message.user("b")], "both of the role user"),
        ([Message.user("a"), Message.system("b")], "stands behind the beginning"),
        ([Message.assistant()], "says nothing"),
        ([Message.assistant(Reasoning("x"))], "says nothing"),
        ([Message.user(ToolCall("c", "x"))], "holds a ToolCall"),
        ([Message.user(Text("a", NOTE))], "holds the note `langchain`"),
        ([Message.user("", "a")], "an empty text"),
    ],
)
def test_what_is_wrong_is_said(messages: list[Message], problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        assert_valid_history(messages)


def test_answers_in_another_order_than_their_calls_are_wrong() -> None:
    call = Message.assistant(ToolCall("a", "x"), ToolCall("b", "x"))
    turned = [call, Message.tool(ToolResult("b", ""), ToolResult("a", ""))]
    with pytest.raises(AssertionError, match=r"answers `b`, where \['a'\] is due"):
        assert_valid_history(turned)
    assert_valid_history(valid_history(turned))
