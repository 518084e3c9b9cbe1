"""Namespaces of what is remembered: tuples of labels, and the one text that each has in a table.

Two namespaces never have the same text, whatever their labels hold; those below one are a range of texts.
"""

import re
from urllib.parse import unquote

Namespace = tuple[str, ...]

_LABEL = re.compile(r"[%./*\0]|^langgraph$")
"""What langgraph's stores refuse in a label or take for something else, and what we write it with."""
_TEXT = re.compile(r"[%/]")


def scope(tenant: str, user: str) -> Namespace:
    """Where all that is remembered of a user is, in labels that langgraph's stores take."""
    return _label(tenant), _label(user)


def text_of(namespace: Namespace) -> str:
    """The text of a namespace: its labels with a slash between them."""
    return "/".join(_TEXT.sub(_escaped, label) for label in namespace)


def namespace_of(text: str) -> Namespace:
    """The namespace that has this text."""
    return tuple(unquote(label, errors="strict") for label in text.split("/"))


def below(text: str) -> tuple[str, str]:
    """From (with) and to (without): the texts of all namespaces below that of `text`, and of no other."""
    return f"{text}/", f"{text}0"  # 0 comes behind the slash


def _label(name: str) -> str:
    return _LABEL.sub(_escaped, name) or "%"


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0][0]):02X}{found[0][1:]}"
