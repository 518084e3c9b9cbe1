"""How long a recording is, from its headers. Decodes no sound.

Formats: WAV (RIFF), FLAC (RFC 9639), Ogg with Vorbis or Opus (RFC 3533, 7845), MP3 frames (ISO 11172-3) and
the MP4 container (ISO 14496-12).
"""

import struct
from collections.abc import Callable, Iterator

from stretto.errors import DamagedMedia, MediaTooLarge
from stretto.media.limits import DEFAULT_LIMITS, MediaLimits


def measure(
    data: bytes, media_type: str, limits: MediaLimits = DEFAULT_LIMITS, *, label: str = "the recording"
) -> float:
    """Seconds, 0 where the headers do not say. CPU-bound for long MP3s: call it off the event loop.

    Raises:
        DamagedMedia: The headers make no sense, or content is cut off.
        MediaTooLarge: It is longer than allowed.
    """
    try:
        seconds = _READERS[media_type](data)
    except (struct.error, IndexError, ZeroDivisionError, ValueError):
        raise DamagedMedia(
            f"{label} is damaged or cut off ({media_type}); record or export it again"
        ) from None
    if seconds > limits.seconds:
        raise MediaTooLarge(f"{label} is {seconds:.0f} seconds long; allowed are {limits.seconds:.0f}")
    return seconds


def _wav(data: bytes) -> float:
    rate, at = 0, 12
    while True:
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt ":
            (rate,) = struct.unpack_from("<I", data, at + 8)
        elif name == b"data":
            left = len(data) - at
            if (
                size > left and size < 0xFFFFFF00
            ):  # a stream writes the largest number: its length is not known
                raise ValueError
            return min(size, left) / rate
        at += size + size % 2


def _flac(data: bytes) -> float:
    packed = int.from_bytes(data[18:26], "big")
    if len(data) < 42 or data[4] & 0x7F != 0:
        raise ValueError
    return (packed & (1 << 36) - 1) / (packed >> 44)


def _ogg(data: bytes) -> float:
    first = data[28:64]
    at = data.rindex(b"OggS")
    granule, segments = struct.unpack_from("<q", data, at + 6)[0], data[at + 26]
    table = data[at + 27 : at + 27 + segments]
    if len(table) < segments or at + 27 + segments + sum(table) > len(data):
        raise ValueError
    if first.startswith(b"OpusHead"):
        return max(0, granule - struct.unpack_from("<H", first, 10)[0]) / 48_000
    if first.startswith(b"\x01vorbis"):
        return max(0, granule) / struct.unpack_from("<I", first, 12)[0]
    return 0.0


_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mp3(data: bytes) -> float:
    at = 0
    if data[:3] == b"ID3":
        at = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])
    seconds, frames = 0.0, 0
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] & 0xE0 == 0xE0:
        version, high, low = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
        rate = _RATES[version][low] if version in _RATES and low < 3 else 0
        if not rate or not 0 < high < 15:
            break
        samples = 1152 if version == 3 else 576
        kbits = (_KBITS_1 if version == 3 else _KBITS_2)[high - 1]
        size = samples // 8 * kbits * 1000 // rate + (data[at + 2] >> 1 & 1)
        if at + size > len(data):
            break  # the last frame is cut off: players skip it too
        at, seconds, frames = at + size, seconds + samples / rate, frames + 1
    if frames < 2:
        raise ValueError
    return seconds


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            raise ValueError
        yield name, body, at + size
        at += size


def _mp4(data: bytes) -> float:
    found: float | None = None
    for name, body, end in _boxes(data, 0, len(data)):
        for inner, at, _ in _boxes(data, body, end) if name == b"moov" else ():
            if inner == b"mvhd":
                form = ">IQ" if data[at] == 1 else ">II"
                scale, length = struct.unpack_from(form, data, at + (20 if data[at] == 1 else 12))
                found = length / scale
    if found is None:
        raise ValueError
    return found


_READERS: dict[str, Callable[[bytes], float]] = {
    "audio/wav": _wav,
    "audio/flac": _flac,
    "audio/ogg": _ogg,
    "audio/mpeg": _mp3,
    "audio/mp4": _mp4,
}
