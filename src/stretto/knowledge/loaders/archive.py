"""The members of a zip, within bounds, also of one that is cut off or damaged. Writes no file, ever.

The directory at the end says what there is; where it is lost, the members are found by the headers before
them. A member is unpacked here, piece by piece, so that what it claims about its size cannot matter.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from stretto.errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from stretto.knowledge.limits import IngestLimits

_HEADER = struct.Struct("<4sHHHHHIIIHH")
_MARK = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_SMALL = 10_000_000
"""Bytes that a member may always unpack to, however well it was packed."""
_STEP, _UNPACKED = 1 << 16, 1 << 20
_ESCAPES = re.compile(r"^[A-Za-z]:|^/|(?:^|/)\.\.(?:/|$)|[\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: where its packed bytes begin, and what is claimed about it."""

    name: str
    start: int
    packed: int | None
    """Bytes; None where only the packed data itself tells where it ends."""
    method: int
    checksum: int | None
    locked: bool


class Archive:
    """A zip in memory. `damaged` says whether its directory was lost.

    Raises:
        UnsupportedMedia: It is no zip.
        MediaTooLarge: It has more members, or unpacks to more bytes, than allowed.
    """

    def __init__(self, data: bytes, name: str, limits: IngestLimits) -> None:
        self._data, self._name, self._limits = data, name, limits
        self._left = limits.expanded
        self.warnings: list[str] = []
        self.damaged = False
        if _MARK not in data[:_UNPACKED] and b"PK\x05\x06" not in data[-65_600:]:
            raise UnsupportedMedia(
                f"`{name}` is not what its name says: it is no zip; give it its true ending"
            )
        members = self._listed()
        if members is None:
            self.damaged = True
            self.warnings.append("the archive is damaged; what could be found in it is kept")
            members = list(self._found())
        if len(members) > limits.entries:
            raise MediaTooLarge(f"`{name}` has {len(members):,} members; the limit is {limits.entries:,}")
        self.members = {member.name: member for member in members}

    @property
    def left(self) -> int:
        """How many bytes may still be unpacked."""
        return self._left

    def _listed(self) -> list[Member] | None:
        """What the directory names; None where there is none that can be read."""
        try:
            with zipfile.ZipFile(io.BytesIO(self._data)) as opened:
                infos = opened.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OverflowError, OSError):
            return None
        if len(infos) > self._limits.entries:
            raise MediaTooLarge(
                f"`{self._name}` has {len(infos):,} members; the limit is {self._limits.entries:,}"
            )
        if sum(info.file_size for info in infos) > self._limits.expanded:
            raise MediaTooLarge(
                f"`{self._name}` unpacks to more than {self._limits.expanded:,} bytes, what is allowed"
            )
        members: list[Member] = []
        for info in infos:
            if info.is_dir():
                continue
            start = self._after_header(info.header_offset)
            if start is not None:
                locked = bool(info.flag_bits & 1)
                members.append(
                    Member(
                        info.filename, start, info.compress_size, info.compress_type, info.CRC or None, locked
                    )
                )
        return members if members or not infos else None

    def _after_header(self, offset: int) -> int | None:
        if not 0 <= offset <= len(self._data) - _HEADER.size or self._data[offset : offset + 4] != _MARK:
            return None
        fields = _HEADER.unpack_from(self._data, offset)
        return offset + _HEADER.size + fields[9] + fields[10]

    def _found(self) -> Iterator[Member]:
        """The members whose headers can be found, one after the other."""
        offset, count = self._data.find(_MARK), 0
        while 0 <= offset <= len(self._data) - _HEADER.size and count <= self._limits.entries:
            _, _, flags, method, _, _, checksum, packed, _, name_length, extra = _HEADER.unpack_from(
                self._data, offset
            )
            start = offset + _HEADER.size + name_length + extra
            raw = self._data[offset + _HEADER.size : offset + _HEADER.size + name_length]
            known = not flags & 8 and packed != 0xFFFFFFFF
            if method in (_STORED, _DEFLATED) and start <= len(self._data):
                name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
                if name and not name.endswith("/"):
                    count += 1
                    yield Member(
                        name,
                        start,
                        packed if known else None,
                        method,
                        checksum if known else None,
                        bool(flags & 1),
                    )
            offset = self._data.find(_MARK, max(offset + 4, start + packed if known else start))

    def read(self, name: str) -> bytes:
        """The member `name`, as far as it can be read; what is lost is among the warnings.

        Raises:
            DamagedMedia: There is no such member, or nothing of it can be read.
            MediaTooLarge: It unpacks to more than is allowed.
            UnsupportedMedia: It is locked by a password, or packed in a way that is not read.
        """
        member = self.members.get(name)
        if member is None:
            raise DamagedMedia(f"`{self._name}` is damaged: it has no `{name}`")
        if member.locked:
            raise UnsupportedMedia(f"`{name}` in `{self._name}` is locked by a password; save it without one")
        end = len(self._data) if member.packed is None else member.start + member.packed
        packed = memoryview(self._data)[member.start : end]
        if member.method == _STORED:
            content, whole = bytes(packed), end <= len(self._data) and member.packed is not None
        elif member.method == _DEFLATED:
            content, whole = self._inflated(packed)
        else:
            raise UnsupportedMedia(f"`{name}` in `{self._name}` is packed by a method that is not read")
        self._left -= len(content)
        if self._left < 0:
            raise self._too_large()
        if not whole or (member.checksum is not None and zlib.crc32(content) != member.checksum):
            if not content:
                raise DamagedMedia(f"`{name}` in `{self._name}` is damaged, and nothing of it can be read")
            self.warnings.append(f"`{name}` is damaged; what could be read of it is kept")
        return content

    def _inflated(self, packed: memoryview) -> tuple[bytes, bool]:
        """The content, as far as it can be unpacked, and whether that is all of it."""
        engine, found = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
        most = min(self._left, max(_SMALL, len(packed) * self._limits.ratio))
        for start in range(0, len(packed), _STEP):
            before, piece = engine.copy(), packed[start : start + _STEP]
            length = len(found)
            try:
                self._unpack(engine, piece, found, most)
            except zlib.error:  # byte by byte up to the damage
                del found[length:]
                for at in range(len(piece)):
                    try:
                        self._unpack(before, piece[at : at + 1], found, most)
                    except zlib.error:
                        break
                return bytes(found), False
            if engine.eof:
                return bytes(found), True
        return bytes(found), False

    def _unpack(self, engine: Any, piece: memoryview, found: bytearray, most: int) -> None:
        rest: memoryview | bytes = piece
        while rest and not engine.eof:
            found += engine.decompress(rest, _UNPACKED)
            rest = engine.unconsumed_tail
            if len(found) > most:
                raise self._too_large()

    def _too_large(self) -> MediaTooLarge:
        return MediaTooLarge(
            f"`{self._name}` unpacks to more than is allowed: {self._limits.expanded:,} bytes, "
            f"or {self._limits.ratio} times its size"
        )

    def without(self, kind: str) -> DamagedMedia | UnsupportedMedia:
        """The error for an archive that lacks the parts of a document of this kind."""
        if self.damaged:
            return DamagedMedia(f"`{self._name}` is damaged: the part with its text is lost; save it again")
        return UnsupportedMedia(
            f"`{self._name}` is no {kind}, whatever its name says; give it its true ending"
        )

    def rebuilt(self) -> bytes:
        """A sound zip of what can be read, for a library that takes none but those."""
        self._left = self._limits.expanded  # what was read before is gone again
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as made:
            for name in self.members:
                try:
                    made.writestr(zipfile.ZipInfo(name), self.read(name))
                except (DamagedMedia, UnsupportedMedia):
                    self.warnings.append(f"`{name}` is damaged and left out")
        return buffer.getvalue()


def escapes(name: str) -> bool:
    """Whether a member's name leads out of the folder it would be unpacked to."""
    return bool(_ESCAPES.search(name.replace("\\", "/"))) or len(PurePosixPath(name).parts) > 64
