"""The mechanisms of a pool, one by one: circuit, concurrency, latency, spare, choice."""

from random import Random

import pytest

from stretto.models.pool.choice import better_of_two, choose, eject
from stretto.models.pool.circuit import Circuit
from stretto.models.pool.concurrency import START, Concurrency
from stretto.models.pool.latency import PeakEwma, Quantile
from stretto.models.pool.member import Member, Standing
from stretto.models.pool.rules import Breaker, Outliers, Retries
from stretto.models.pool.spare import Spare
from stretto.models.protocol import Headroom
from stretto.testing import ScriptedModel


def standing(name="m", **terms):
    return Standing(Member(ScriptedModel(name=name), **terms), name, Breaker(probe=False), None)


def seen(one, seconds, now=0.0, times=5):
    for _ in range(times):
        one.spoke(one.begin(now), now + seconds)
    return one


def test_a_circuit_opens_after_failures_in_a_row_and_lets_one_trial_through():
    circuit = Circuit(Breaker(failures=3, cooldown=2.0))
    assert [circuit.failed(10.0) for _ in range(3)] == [False, False, True]
    assert not circuit.admits(11.9) and circuit.admits(12.0)
    circuit.begun(12.0)
    assert circuit.state == "half_open" and not circuit.admits(20.0)
    circuit.succeeded()
    assert circuit.state == "closed" and circuit.admits(20.0)


def test_a_failed_trial_doubles_the_cooldown_up_to_the_longest():
    circuit = Circuit(Breaker(failures=1, cooldown=2.0, longest=5.0))
    circuit.failed(0.0)
    waits = []
    for _ in range(3):
        start = circuit.until
        circuit.begun(start)
        circuit.failed(start)
        waits.append(circuit.until - start)
    assert waits == [4.0, 5.0, 5.0]


def test_a_circuit_opens_when_half_of_the_last_20_failed_though_never_in_a_row():
    circuit = Circuit(Breaker(failures=5))
    opened = False
    for _ in range(10):
        circuit.succeeded()
        opened = circuit.failed(0.0)
    assert opened


def test_a_trial_whose_caller_left_may_be_made_again():
    circuit = Circuit(Breaker(failures=1))
    circuit.failed(0.0)
    circuit.begun(8.0)
    circuit.dropped(9.0)
    assert circuit.admits(9.0)


def test_a_trial_that_says_nothing_is_not_waited_for_without_end():
    circuit = Circuit(Breaker(failures=1, cooldown=2.0, longest=5.0))
    circuit.failed(0.0)
    circuit.begun(2.0)
    assert not circuit.admits(6.9) and circuit.admits(7.0)


def test_the_concurrency_limit_grows_while_latency_holds_and_the_limit_is_used():
    used, idle = Concurrency(), Concurrency()
    for _ in range(400):
        used.succeeded(0.1, in_flight=int(used.limit))
        idle.succeeded(0.1, in_flight=1)
    assert used.limit > START + 10 and idle.limit == START


def test_the_concurrency_limit_backs_off_on_latency_and_on_429_and_stays_above_one():
    slow = Concurrency()
    for _ in range(50):
        slow.succeeded(0.1, in_flight=16)
    before = slow.limit
    for _ in range(50):
        slow.succeeded(1.0, in_flight=16)
    assert slow.limit < before
    told = Concurrency(most=4)
    for _ in range(40):
        told.backed_off()
    assert 1.0 <= told.limit < 4


def test_many_429_of_one_moment_are_one_step_back():
    limit = Concurrency()
    for _ in range(START):
        limit.backed_off()
    assert limit.limit == pytest.approx(START * 0.7)


def test_a_peak_is_taken_at_once_and_let_go_slowly():
    value = PeakEwma()
    value.observe(0.1, 0.0)
    value.observe(2.0, 1.0)
    assert value.value(1.0) == 2.0
    value.observe(0.1, 1.1)
    assert value.value(1.1) > 1.9
    assert value.value(60.0) < 0.1


def test_a_quantile_is_that_of_the_last_values():
    quantile = Quantile(0.95)
    for number in range(1, 321):
        quantile.observe(number % 100)
    assert 92 <= quantile.value <= 97


def test_extra_requests_are_a_share_of_the_calls_and_a_floor():
    spare = Spare(Retries(share=0.1, floor=3))
    assert [spare.take() for _ in range(4)] == [True, True, True, False]
    for _ in range(20):
        spare.pay_in()
    assert [spare.take() for _ in range(3)] == [True, True, False]
    assert spare.take(owed=True)


def test_the_better_of_two_is_the_one_a_call_waits_for_least():
    quick, slow = seen(standing("quick"), 0.1), seen(standing("slow"), 1.0)
    picks = [better_of_two([quick, slow], 1.0, Random(seed)) for seed in range(20)]
    assert all(pick is quick for pick in picks)
    quick.in_flight = 40
    assert better_of_two([quick, slow], 1.0, Random(1)) is slow


def test_weights_share_the_calls_of_members_that_do_as_well():
    random, taken = Random(3), {"a": 0, "b": 0}
    heavy, light = seen(standing("a", weight=3.0), 0.1), seen(standing("b"), 0.1)
    for _ in range(400):
        pick = better_of_two([heavy, light], 1.0, random)
        pick.in_flight += 1
        taken[pick.name] += 1
    assert 2.5 < taken["a"] / taken["b"] < 3.5


def test_a_new_member_gets_one_call_until_it_has_spoken():
    known, new = seen(standing("known"), 0.1), standing("new")
    assert better_of_two([known, new], 1.0, Random(1)) is new
    new.in_flight += 1
    new.begin(1.0)
    assert better_of_two([known, new], 1.0, Random(1)) is known


def test_a_member_that_is_silent_is_expected_to_stay_so():
    a, b = seen(standing("a"), 0.1), seen(standing("b"), 0.1)
    a.begin(10.0)
    a.in_flight = b.in_flight = 1
    assert better_of_two([a, b], 15.0, Random(1)) is b


def test_a_higher_tier_is_asked_when_the_lower_one_cannot():
    cheap, dear = standing("cheap"), standing("dear", tier=1)
    assert choose([dear, cheap], 0.0, Random(1)) is cheap
    cheap.block(5.0, 0.0)
    assert choose([dear, cheap], 0.0, Random(1)) is dear
    assert choose([dear, cheap], 5.0, Random(1)) is cheap


def test_what_the_endpoint_says_is_left_is_heeded():
    one = standing()
    one.heed(Headroom(requests=3, tokens=0, tokens_reset=12.0), 100.0)
    assert one.health(111.0) == "limited" and one.health(112.0) == "up"


def test_a_far_slower_member_is_left_out_for_a_while_and_comes_back():
    members = [seen(standing("a"), 0.1), seen(standing("b"), 0.12), seen(standing("c"), 1.5)]
    rule = Outliers(seconds=10.0)
    assert eject(members[2], members, rule, 0.0) and members[2].health(5.0) == "slow"
    assert not eject(members[0], members, rule, 0.0)
    assert members[2].health(10.1) == "up"
    assert "c" not in {choose(members, 1.0, Random(seed)).name for seed in range(30)}


def test_never_more_members_are_left_out_than_the_rule_allows_and_never_all():
    members = [seen(standing("a"), 0.1), seen(standing("b"), 5.0), seen(standing("c"), 6.0)]
    members[1].ejected_until = 100.0
    assert not eject(members[2], members, Outliers(most=0.5), 0.0)
    for one in members:
        one.ejected_until = 100.0
    assert choose(members, 0.0, Random(1)) is not None
