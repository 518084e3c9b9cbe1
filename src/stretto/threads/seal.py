"""What stands around the bytes of each value that is kept of threads: a checksum, or encryption on request.

`Checked` notices a damaged value; `Sealed` also hides it from whoever reads the database, and ties it to its
place. Either refuses what the other has made. Knows no table.
"""

import base64
import binascii
import hashlib
import os
import zlib
from collections.abc import Iterable
from typing import Protocol

from stretto.errors import ConfigError, MissingExtra, ThreadError, ThreadKeyRefused

_CHECKED, _SEALED = b"\xc1\x01", b"\xc1\x02"
"""How a value begins. No msgpack and no UTF-8 begins with the first byte: plain ones are told apart."""
_KEY = 32
_KIND, _HEAD, _NONCE, _TAG = 2, 6, 12, 16
"""Bytes: the beginning; with the mark of the key or the checksum; the nonce; the tag of AES-GCM."""


class Seal(Protocol):
    """Wraps the bytes of a value."""

    def seal(self, content: bytes, about: bytes) -> bytes:
        """The bytes to keep.

        Args:
            content: The value.
            about: Where it is kept and what it is: it can be read again with the same bytes only.
        """
        ...

    def unseal(self, content: bytes, about: bytes) -> bytes:
        """What `seal` was given.

        Raises:
            ThreadError: It is damaged, was kept elsewhere, or was wrapped by another kind or key.
        """
        ...

    def unsealed(self, content: bytes) -> bytes:
        """A value that was kept before values were wrapped; raises ThreadError where those are refused."""
        ...


class Checked:
    """Six bytes before each value: CRC-32 finds every flipped bit, and nearly all other damage."""

    def seal(self, content: bytes, about: bytes) -> bytes:
        """The bytes to keep."""
        return _CHECKED + zlib.crc32(content, zlib.crc32(about)).to_bytes(4, "big") + content

    def unseal(self, content: bytes, about: bytes) -> bytes:
        """What `seal` was given; raises ThreadError where it is damaged, or encrypted."""
        if content[:_KIND] == _SEALED:
            raise ThreadError("is encrypted; give the key that it was written with")
        value = content[_HEAD:]
        if self.seal(value, about)[:_HEAD] != content[:_HEAD]:
            raise ThreadError("is damaged (its checksum does not fit)")
        return value

    def unsealed(self, content: bytes) -> bytes:
        """The value itself."""
        return content


class Sealed:
    """AES-256-GCM with a random nonce a value; `about` is authenticated.

    One key is good for about four thousand million values.

    Args:
        key: 32 bytes, or their text: 64 hexadecimal digits, or base64.

    Raises:
        ConfigError: It is no such key.
        MissingExtra: The package `cryptography` is not installed.
    """

    def __init__(self, key: str | bytes) -> None:
        raw = _key_of(key)
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (optional package)
        except ImportError:
            raise MissingExtra("Encryption of threads", "encryption") from None
        self._cipher = AESGCM(raw)
        self._head = _SEALED + hashlib.sha256(b"stretto key" + raw).digest()[: _HEAD - _KIND]

    def seal(self, content: bytes, about: bytes) -> bytes:
        """The bytes to keep."""
        nonce = os.urandom(_NONCE)
        return self._head + nonce + self._cipher.encrypt(nonce, content, about)

    def unseal(self, content: bytes, about: bytes) -> bytes:
        """What `seal` was given; raises ThreadError for another key, plain text, and damage."""
        head, nonce, rest = content[:_HEAD], content[_HEAD : _HEAD + _NONCE], content[_HEAD + _NONCE :]
        if head[:_KIND] != _SEALED:
            return self.unsealed(content)
        if head != self._head:
            raise ThreadError("was written with another key; give that one")
        if len(rest) < _TAG:
            raise ThreadError("is damaged (it was cut off)")
        try:
            return self._cipher.decrypt(nonce, rest, about)
        except Exception:  # InvalidTag, of a package that may not be there
            raise ThreadError("is damaged, or was moved from another place") from None

    def unsealed(self, content: bytes) -> bytes:
        """Refuses it."""
        raise ThreadError("is not encrypted, and is not read with a key; open these threads without one")


def seal_of(key: str | bytes | None) -> Seal:
    """`Sealed` with a key, `Checked` without."""
    return Checked() if key is None else Sealed(key)


def covered(seal: Seal | None, content: bytes, *about: object) -> bytes:
    """A value of a row that nothing stands around without a key: `content`, sealed where there is a seal."""
    return content if seal is None else seal.seal(content, _joined(about))


def uncovered(seal: Seal | None, content: bytes, *about: object) -> bytes:
    """What `covered` was given; raises ThreadError where it is damaged, or not for this key."""
    if seal is None:
        return content
    try:
        return seal.unseal(content, _joined(about))
    except ThreadError as error:
        raise ThreadError(f"what is kept in `{about[0]}` {error}") from None


def mark_of(seal: Seal | None) -> bytes:
    """What a database keeps to tell with which key its rows are encrypted; empty: with none."""
    return covered(seal, b"", "sealing")


def check_mark(mark: bytes, seal: Seal | None) -> None:
    """Raises ThreadKeyRefused where rows beside this mark are not read with this seal."""
    if not mark and seal is None:
        return
    if not mark:
        raise ThreadKeyRefused(
            "these threads are not encrypted, and were opened with a key: type "
            "`unset STRETTO_THREADS_KEY` and give no threads_key=, or keep encrypted threads elsewhere"
        )
    if seal is None:
        raise ThreadKeyRefused(
            "these threads are encrypted: give Agent(threads_key=...), or type "
            "`export STRETTO_THREADS_KEY=...` with the key that they were written with"
        )
    try:
        seal.unseal(mark, _joined(("sealing",)))
    except ThreadError:
        raise ThreadKeyRefused(
            "these threads are encrypted with another key: give that one as threads_key=, or as "
            "STRETTO_THREADS_KEY"
        ) from None


def is_sealed(content: bytes | None) -> bool:
    """Whether a value is encrypted."""
    return content is not None and bytes(content[:_KIND]) == _SEALED


def _joined(about: Iterable[object]) -> bytes:
    return "\0".join(map(str, about)).encode("utf-8", "surrogatepass")


def _key_of(key: str | bytes) -> bytes:
    raw = key
    if isinstance(key, str):
        text = key.strip()
        try:
            raw = bytes.fromhex(text) if len(text) == 2 * _KEY else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            raw = b""
    if not isinstance(raw, bytes) or len(raw) != _KEY:
        raise ConfigError(
            "the key of threads is not 32 bytes long; give 64 hexadecimal digits, such as "
            "`python -c 'import secrets; print(secrets.token_hex(32))'` prints"
        )
    return raw
