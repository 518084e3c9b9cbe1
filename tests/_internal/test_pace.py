import pytest

from stretto._internal.pace import Pace, spelled


def test_the_rate_and_the_rest_come_from_what_was_done_lately():
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.at(0, 100) == (0.0, None)
    now[0] = 10.0
    assert pace.at(20, 100) == (2.0, 40.0)
    for second in range(11, 101):  # from here on only one in two seconds
        now[0] = float(second)
        rate, left = pace.at(20 + (second - 10) // 2, 100)
    assert rate == pytest.approx(0.5, abs=0.02) and left == pytest.approx(70, abs=5)


def test_less_done_than_before_begins_anew():
    now = [0.0]
    pace = Pace(lambda: now[0])
    pace.at(50, 50)
    now[0] = 1.0
    assert pace.at(0, 10) == (0.0, None)


def test_times_are_for_people():
    assert [spelled(seconds) for seconds in (0.4, 40, 180, 7500)] == ["0 s", "40 s", "3 min", "2 h 5 min"]
