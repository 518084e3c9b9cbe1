import pytest
from tests.media import makers

from stretto.errors import MediaTooLarge
from stretto.media.kinds import kind_of
from stretto.media.limits import MediaLimits
from stretto.media.recordings import measure


@pytest.mark.parametrize(
    ("data", "kind", "seconds"),
    [
        (makers.wav(1.25), "audio/wav", 1.25),
        (makers.flac(88_200), "audio/flac", 2.0),
        (makers.ogg(48_312, makers.OPUS), "audio/ogg", 1.0),
        (makers.ogg(44_100, makers.VORBIS), "audio/ogg", 2.0),
        (makers.ogg(44_100, b"fishead\0"), "audio/ogg", 0.0),
        (makers.mp3(50), "audio/mpeg", 50 * 1152 / 44_100),
        (
            b"ID3\x04\0\0\0\0\0\x05hello" + makers.mp3(10) + b"TAG" + b"\0" * 125,
            "audio/mpeg",
            11_520 / 44_100,
        ),
        (makers.m4a(3), "audio/mp4", 3.0),
    ],
)
def test_seconds_are_read_from_the_head(data: bytes, kind: str, seconds: float):
    assert kind_of(data) == kind
    assert measure(data, kind) == pytest.approx(seconds)


def test_a_stream_of_unknown_length_is_measured_by_what_is_there():
    data = makers.wav(1.0)
    at = data.index(b"data") + 4
    assert measure(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :], "audio/wav") == pytest.approx(1.0)


def test_a_recording_over_the_limit_is_refused():
    with pytest.raises(MediaTooLarge, match="2 seconds long; allowed are 1"):
        measure(makers.wav(2.0), "audio/wav", MediaLimits(seconds=1))
