"""E-mail: who wrote what to whom and when, the text, and what is attached, by the loaders of its kinds."""

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage, Message
from typing import Any

from stretto.errors import DamagedMedia, MediaTooLarge, StrettoError
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import Assembly, visible
from stretto.knowledge.loaders.nested import load_nested
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.loaders.text import decode, title_from

_SHOWN = ("From", "To", "Cc", "Date")


def load_mail(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The mail under its subject, then each attachment under a heading with its name.

    Raises:
        DamagedMedia: It has neither the head of a mail nor a text.
        MediaTooLarge: It has more parts than allowed, or mails inside each other.
    """
    if limits.depth < 1:
        raise MediaTooLarge(f"`{name}` lies deeper inside other files than is allowed")
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not any(header in message for header in ("From", "Subject", "Date", "Received", "Content-Type")):
        raise DamagedMedia(f"`{name}` has no head of a mail; give it its true ending")
    assembly = Assembly(name, limits)
    subject = _header(message, "Subject") or title_from(name)
    assembly.heading(subject, 1)
    told = {key: text for key in _SHOWN if (text := _header(message, key))}
    assembly.text("\n".join(f"{key}: {text}" for key, text in told.items()))
    attached: list[tuple[str, str, bytes]] = []
    texts: list[tuple[str, bytes, str]] = []
    for part in _leaves(message, name, limits):
        kind, content = part.get_content_type(), _content(part)
        filename = part.get_filename()
        if filename or part.get_content_disposition() == "attachment":
            attached.append((str(filename or f"attachment.{part.get_content_subtype()}"), kind, content))
        elif kind in ("text/plain", "text/html"):
            texts.append((kind, content, part.get_content_charset("")))
        if part.defects:
            assembly.warn("the mail is damaged; what could be read of it is kept")
    _write_texts(texts, assembly, name, limits)
    for filename, kind, content in attached:
        load_nested(assembly, filename, content, kind, replace(limits, depth=limits.depth - 1), level=1)
    metadata = {"from": told.get("From"), "to": told.get("To"), "date": told.get("Date")}
    return assembly.loaded(subject, "message/rfc822", **metadata)


def _leaves(message: Message, name: str, limits: IngestLimits) -> Iterator[EmailMessage]:
    """The parts that hold content, in order; of a choice of forms the plain text where there is one."""
    stack: list[Any] = [message]
    seen = 0
    while stack:
        part = stack.pop()
        seen += 1
        if seen > limits.entries:
            raise MediaTooLarge(f"`{name}` has more than {limits.entries:,} parts, which is what is allowed")
        if not part.is_multipart() or part.get_content_type() == "message/rfc822":
            yield part
        else:
            children = list(part.get_payload())
            if part.get_content_type() == "multipart/alternative":
                plain = [each for each in children if each.get_content_type() == "text/plain"]
                children = plain[:1] or children[-1:]
            stack.extend(reversed(children))


def _content(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner: Any = part.get_payload()
        return bytes(inner[0]) if inner and not isinstance(inner, str) else b""
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else b""


def _write_texts(
    texts: list[tuple[str, bytes, str]], assembly: Assembly, name: str, limits: IngestLimits
) -> None:
    for kind, content, charset in texts:
        if not content.strip():
            continue
        try:
            if kind == "text/html":
                from stretto.knowledge.loaders.html import load_html  # noqa: PLC0415 (a parser few mails need)

                assembly.include(load_html(content, name, limits), level=1)
            else:
                found = decode(content, name, charset)
                for warning in found.warnings:
                    assembly.warn(warning)
                for paragraph in found.text.split("\n\n"):
                    assembly.text(paragraph)
        except MediaTooLarge:
            raise
        except StrettoError as error:
            assembly.warn(f"a part of the mail is left out: {error}")


def _header(message: EmailMessage, key: str) -> str:
    try:
        return visible(" ".join(str(message.get(key) or "").split()))[:500]
    except (ValueError, LookupError, AttributeError, IndexError, TypeError):
        return ""  # the parser of a broken header fails in many ways
