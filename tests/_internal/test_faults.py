"""Fault points: heard by whoever listens, free otherwise."""

from stretto._internal.faults import listen, reach


def test_a_listener_hears_what_is_reached_until_it_stops_listening() -> None:
    heard: list[str] = []
    listen(heard.append)
    try:
        reach("effect.before")
    finally:
        listen(None)
    reach("effect.after")
    assert heard == ["effect.before"]
