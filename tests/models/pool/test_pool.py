"""Many models play as one: retries, verdicts, failover in mid-stream, on models that do as they are told."""

import asyncio

import pytest

from stretto.errors import (
    BadRequest,
    ConfigError,
    ContextOverflow,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from stretto.messages import Image, Message
from stretto.models import Model
from stretto.models.pool import Breaker, Member, Pool, Retries
from stretto.models.protocol import Reply, RetractPiece, TextPiece, ToolCallPiece, complete
from stretto.settings import ModelSettings

ASK = [Message.user("Hello?")]
DOWN = ModelUnavailable("it is down")
NOW = Retries(delay=0.0)


def shown(pieces):
    """What a person sees in the end, and the reply."""
    text = ""
    for piece in pieces:
        if isinstance(piece, TextPiece):
            text += piece.text
        elif isinstance(piece, RetractPiece):
            text = text[: len(text) - piece.length]
    return text, pieces[-1]


async def all_of(pool, **options):
    return [piece async for piece in pool.stream(ASK, **options)]


async def test_a_failed_call_is_answered_by_another_member(played, pool_of):
    bad, good = played("a", lambda n: [ModelUnavailable("down")]), played("b", lambda n: ["Hi ", "there"])
    pool = pool_of(Member(bad), Member(good, tier=1))
    text, reply = shown(await all_of(pool))
    assert text == reply.message.text == "Hi there" and reply.usage.calls == 2
    assert len(bad.asked) == 1 and len(good.asked) == 1


async def test_a_lone_member_is_asked_again_and_its_own_error_is_raised(played, pool_of):
    bad = played("a", lambda n: [ModelUnavailable(f"failed {n}")])
    with pytest.raises(ModelUnavailable, match="failed 4"):
        await all_of(pool_of(bad, retries=NOW))
    assert len(bad.asked) == 4


async def test_all_failures_are_named_in_one_error(played, pool_of):
    pool = pool_of(
        played("a", lambda n: [ModelUnavailable("no power")]),
        played("b", lambda n: [RateLimited("too many")]),
        retries=Retries(delay=0.0, attempts=2),
    )
    with pytest.raises(ModelUnavailable, match=r"no model of `pool:pool` could answer.*no power") as caught:
        await all_of(pool)
    assert "too many" in str(caught.value)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_request_that_is_refused_is_not_sent_again(played, pool_of, status):
    a, b = played("a", lambda n: [BadRequest("malformed", status=status)]), played("b", lambda n: ["x"])
    with pytest.raises(BadRequest, match="malformed"):
        await all_of(pool_of(Member(a), Member(b, tier=1)))
    assert not b.asked


async def test_a_wrong_key_is_the_members_fault(played, pool_of):
    a, b = played("a", lambda n: [BadRequest("no such key", status=401)]), played("b", lambda n: ["x"])
    pool = pool_of(Member(a), Member(b, tier=1))
    assert shown(await all_of(pool))[0] == "x"
    assert pool.status()[0].failed == 1


async def test_a_conversation_too_long_for_one_goes_to_one_with_more_room(played, pool_of):
    small = played("small", lambda n: [ContextOverflow("too long")], context=1000)
    large = played("large", lambda n: ["fits"], context=9000)
    other = played("other", lambda n: ["no"], context=1000)
    pool = pool_of(Member(small), Member(other, tier=1), Member(large, tier=2))
    assert shown(await all_of(pool))[0] == "fits" and not other.asked
    with pytest.raises(ContextOverflow):
        await all_of(pool_of(small))


async def test_what_was_shown_is_taken_back_and_the_answer_begins_again(played, pool_of):
    family = "👨‍👩‍👧 e\u0301 "
    a = played("a", lambda n: [family, "one", ModelUnavailable("died")])
    b = played("b", lambda n: ["whole ", "answer"])
    pieces = await all_of(pool_of(Member(a), Member(b, tier=1)))
    assert [p.length for p in pieces if isinstance(p, RetractPiece)] == [len(family) + 3]
    text, reply = shown(pieces)
    assert text == reply.message.text == "whole answer"
    assert b.asked[0][0] == ASK


async def test_a_member_that_can_goes_on_behind_what_was_shown(played, pool_of):
    a = played("a", lambda n: ["The first ", "half, ", ModelUnavailable("died")])
    b = played("b", lambda n: ["the second."], prefill=True)
    pieces = await all_of(pool_of(Member(a), Member(b, tier=1)), settings=ModelSettings(max_tokens=10))
    text, reply = shown(pieces)
    assert not any(isinstance(piece, RetractPiece) for piece in pieces)
    assert text == reply.message.text == "The first half, the second."
    sent, settings = b.asked[0]
    assert sent[-1] == Message.assistant("The first half, ") and settings.max_tokens == 8
    assert reply.usage.calls == 2


async def test_one_that_can_go_on_is_preferred_once_text_is_shown(played, pool_of):
    a = played("a", lambda n: ["Half ", ModelUnavailable("died")])
    b, c = played("b", lambda n: ["again"]), played("c", lambda n: ["whole"], prefill=True)
    pieces = await all_of(pool_of(Member(a), Member(b, tier=1), Member(c, tier=2)))
    assert shown(pieces)[0] == "Half whole" and not b.asked


async def test_nothing_is_spliced_once_a_tool_call_began(played, pool_of):
    a = played("a", lambda n: ["I look. ", ToolCallPiece(0, "c1", "find", '{"a'), ModelUnavailable("died")])
    b = played("b", lambda n: ["Again. "], prefill=True)
    pieces = await all_of(pool_of(Member(a), Member(b, tier=1)))
    assert [p.length for p in pieces if isinstance(p, RetractPiece)] == [8]
    assert shown(pieces)[0] == "Again. " and b.asked[0][0] == ASK


async def test_an_answer_that_nobody_can_end_raises_with_what_was_shown(played, pool_of):
    a = played("a", lambda n: ["Half ", ModelUnavailable("died")])
    b = played("b", lambda n: ["more ", ModelUnavailable("died too")], prefill=True)
    pool = pool_of(Member(a), Member(b, tier=1), retries=Retries(attempts=2))
    pieces = []
    with pytest.raises(ModelUnavailable) as caught:
        async for piece in pool.stream(ASK):
            pieces.append(piece)
    assert caught.value.partial == "Half more " == "".join(piece.text for piece in pieces)


async def test_text_that_was_shown_is_rescued_once_even_with_the_budget_spent(played, pool_of):
    bad = played("a", lambda n: ["Half ", ModelUnavailable("died")])
    none = Retries(share=0.0, floor=0)
    pool = pool_of(Member(bad), Member(played("b", lambda n: ["x"]), tier=1), retries=none, breaker=False)
    answers = [shown(await all_of(pool))[0] for _ in range(6)]
    assert set(answers) == {"x"} and len(bad.asked) == 6


async def test_without_budget_nothing_is_sent_again(played, pool_of):
    bad = played("a", lambda n: [ModelUnavailable("down")])
    pool = pool_of(bad, retries=Retries(share=0.1, floor=2, delay=0.0), breaker=False)
    for _ in range(100):
        with pytest.raises(ModelUnavailable):
            await all_of(pool)
    assert 100 + 2 <= len(bad.asked) <= 100 + 2 + 10


async def test_a_request_that_does_something_at_the_endpoint_is_sent_once(played, pool_of):
    bad, other = played("a", lambda n: [ModelUnavailable("down")]), played("b", lambda n: ["x"])
    pool = pool_of(Member(bad), Member(other, tier=1), retries=NOW)
    with pytest.raises(ModelUnavailable):
        await all_of(pool, settings=ModelSettings(extra={"store": True}))
    assert len(bad.asked) == 1 and not other.asked


async def test_a_picture_goes_to_a_member_that_sees(played, pool_of):
    blind, seeing = played("blind", lambda n: ["?"]), played("seeing", lambda n: ["a cat"], vision=True)
    pool = pool_of(Member(blind), Member(seeing, tier=1))
    assert pool.capabilities.vision
    asked = [Message.user("What is it?", Image("data:image/png;base64,AAAA"))]
    assert (await complete(pool, asked)).message.text == "a cat" and not blind.asked


async def test_a_node_may_begin_at_a_higher_tier(played, pool_of):
    cheap, dear = played("cheap", lambda n: ["?"]), played("dear", lambda n: ["!"])
    pool = pool_of(Member(cheap), Member(dear, tier=1))
    assert shown(await all_of(pool, settings=ModelSettings(tier=1)))[0] == "!" and not cheap.asked


async def test_retry_after_is_waited_for_once(played, pool_of):
    busy = played("a", lambda n: [RateLimited("slow down", retry_after=0.01)])
    with pytest.raises(RateLimited, match="slow down"):
        await all_of(pool_of(busy, retries=NOW))
    assert len(busy.asked) == 2


async def test_retry_after_beyond_the_deadline_is_not_waited_for(played, pool_of):
    busy = played("a", lambda n: [RateLimited("slow down", retry_after=90.0)])
    with pytest.raises(RateLimited) as caught:
        await all_of(pool_of(busy, retries=NOW), settings=ModelSettings(timeout=5.0))
    assert len(busy.asked) == 1 and 80 < caught.value.retry_after <= 90


async def test_others_are_asked_while_one_is_limited(played, pool_of):
    busy, free = played("a", lambda n: [RateLimited("slow", retry_after=60)]), played("b", lambda n: ["x"])
    pool = pool_of(Member(busy), Member(free, tier=1))
    for _ in range(3):
        assert shown(await all_of(pool))[0] == "x"
    assert len(busy.asked) == 1 and pool.status()[0].health == "limited"


async def test_the_time_left_is_what_the_next_attempt_has(played, pool_of, clock):
    def slow(n):
        clock.now += 7.0
        return [ModelUnavailable("down")]

    a, b = played("a", slow), played("b", lambda n: ["x"])
    pool = pool_of(Member(a), Member(b, tier=1), clock=clock)
    await all_of(pool, settings=ModelSettings(timeout=10.0, first_token=4.0))
    assert a.asked[0][1].timeout == 10.0 and a.asked[0][1].first_token == 4.0
    assert b.asked[0][1].timeout == pytest.approx(3.0)


async def test_a_silent_member_has_half_the_time_while_another_could_take_over(played, pool_of):
    a, b = played("a", lambda n: ["x"]), played("b", lambda n: ["x"])
    await all_of(pool_of(a), settings=ModelSettings(timeout=10.0))
    assert a.asked[0][1].first_token is None
    await all_of(pool_of(Member(a), Member(b, tier=1)), settings=ModelSettings(timeout=10.0))
    assert a.asked[1][1].first_token == pytest.approx(5.0, abs=0.1)
    assert a.asked[1][1].idle == pytest.approx(5.0, abs=0.1)


async def test_a_members_own_deadlines_stand_and_its_longest_timeout_counts(played, pool_of):
    a, b = played("a", lambda n: ["x"]), played("b", lambda n: ["x"])
    a.settings = ModelSettings(first_token=0.5, idle=0.4, timeout=300.0)
    await all_of(pool_of(Member(a), Member(b, tier=1)))
    asked = a.settings.merged(a.asked[0][1])
    assert (asked.first_token, asked.idle, asked.timeout) == (0.5, 0.4, 300.0)
    await all_of(pool_of(Member(a), Member(b, tier=1), settings=ModelSettings(first_token=2.0)))
    assert a.asked[1][1].first_token == 2.0


async def test_a_silent_member_has_ten_usual_times_once_they_are_known(played, pool_of, clock):
    def answer(n):
        clock.now += 3.0
        return ["x"]

    a, b = played("a", answer), played("b", lambda n: ["x"])
    pool = pool_of(Member(a), Member(b, tier=1), clock=clock)
    for _ in range(25):
        await all_of(pool)
    assert a.asked[0][1].first_token == 30.0 and a.asked[-1][1].first_token == pytest.approx(30.0)
    assert all(settings.first_token <= 30.0 for _, settings in a.asked)


async def test_a_wrong_key_is_told_at_once_where_nobody_else_can_answer(played, pool_of):
    alone = played("a", lambda n: [BadRequest("no such key", status=401)])
    pool = pool_of(alone, breaker=Breaker(probe=False))
    with pytest.raises(BadRequest, match="no such key"):
        await all_of(pool)
    assert len(alone.asked) == 1 and pool.status()[0].health == "down"


def test_members_may_be_named_and_a_lone_model_is_no_list(played):
    pool = Pool(["ollama:a", Member(Model("ollama:b"), tier=1)])
    assert [one.name for one in pool.status()] == ["ollama:a", "ollama:b"]
    with pytest.raises(ConfigError, match=r"takes a list of models: Pool\(\[\.\.\.\]\)"):
        Pool(played("a", lambda n: ["x"]))


async def test_closing_the_stream_ends_the_request(played, pool_of):
    never = asyncio.Event()
    a = played("a", lambda n: ["Half ", never])
    pool = pool_of(a)
    stream = pool.stream(ASK)
    assert (await anext(stream)).text == "Half "
    await stream.aclose()
    assert a.open == 0 and pool.status()[0].in_flight == 0 and pool.status()[0].failed == 0


async def test_a_stream_that_ends_without_a_reply_is_a_failure(played, pool_of):
    class Broken(played):
        async def stream(self, *args, **options):
            yield TextPiece("x")

    with pytest.raises(ModelUnavailable, match="ended its answer without a reply"):
        await all_of(pool_of(Broken("a", lambda n: []), retries=NOW))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda pool, model: pool(), "no members"),
        (lambda pool, model: pool(Member(model, weight=0)), "weight 0"),
        (lambda pool, model: pool(Member(model, tier=-1)), "tier -1"),
        (lambda pool, model: pool(Member(model, requests_per_minute=0)), "requests_per_minute=0"),
        (lambda pool, model: pool(Member(model, concurrency=-3)), "concurrency=-3"),
        (lambda pool, model: pool(Member(model, weight="2")), "text where a number belongs"),
        (lambda pool, model: pool(Member("openai:x")), "is no model; give Model"),
        (lambda pool, model: pool(object()), "is no model; give Model"),
        (lambda pool, model: pool(model, hedge=0.9), "0.9 is no Hedge; give True, False or Hedge"),
        (lambda pool, model: pool(model, retries=3), "3 is no Retries"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(played, make, said):
    with pytest.raises(ConfigError, match=said):
        make(lambda *members, **rules: Pool(members, **rules), played("a", lambda n: ["x"]))


async def test_members_of_one_name_are_told_apart(played, pool_of):
    pool = pool_of(*(played("same", lambda n: ["x"]) for _ in range(3)))
    assert [one.name for one in pool.status()] == ["same", "same#2", "same#3"]


async def test_closing_the_pool_closes_its_members(played):
    a = played("a", lambda n: ["x"])
    pool = Pool([a])
    await pool.close()
    await pool.close()
    assert a.closed == 2


async def test_all_open_breakers_fail_a_call_at_once(played, pool_of):
    bad = played("a", lambda n: [ModelUnavailable("no power")])
    pool = pool_of(bad, retries=NOW, breaker=Breaker(failures=3, probe=False))
    for _ in range(20):
        with pytest.raises(ModelUnavailable, match="no power"):
            await all_of(pool)
    assert len(bad.asked) == 3 and pool.status()[0].health == "down"


async def test_a_timeout_counts_as_a_failure_of_the_member(played, pool_of):
    slow, good = (
        played("a", lambda n: [ModelTimeout("no word", deadline="first_token")]),
        played("b", lambda n: ["x"]),
    )
    pool = pool_of(Member(slow), Member(good, tier=1))
    assert shown(await all_of(pool))[0] == "x" and pool.status()[0].failed == 1


async def test_the_reply_is_the_last_piece_exactly_once(played, pool_of):
    pieces = await all_of(pool_of(played("a", lambda n: ["x", "y"])))
    assert [type(piece) for piece in pieces] == [TextPiece, TextPiece, Reply]


async def test_a_member_that_ends_without_a_reply_has_failed(played, pool_of):
    class Cut(played):
        async def stream(self, *args, **options):
            self.asked.append(args)
            yield TextPiece("Half ")

    bad, good = Cut("a", lambda n: []), played("b", lambda n: ["whole"])
    pool = pool_of(Member(bad), Member(good, tier=1))
    assert shown(await all_of(pool))[0] == "whole"
    assert len(bad.asked) == 1 and pool.status()[0].failed == 1


async def test_a_pool_may_be_a_member_of_a_pool(played, pool_of):
    """What the inner pool takes back, the outer one does not take back again."""
    a = played("a", lambda n: ["Half ", ModelUnavailable("died")])
    b = played("b", lambda n: ["more ", ModelUnavailable("died too")])
    inner = pool_of(Member(a), Member(b, tier=1), name="pool:inner", retries=Retries(attempts=2))
    outer = pool_of(Member(inner), Member(played("c", lambda n: ["whole"]), tier=1))
    pieces = await all_of(outer)
    assert [p.length for p in pieces if isinstance(p, RetractPiece)] == [5, 5]
    assert shown(pieces)[0] == "whole" == pieces[-1].message.text
