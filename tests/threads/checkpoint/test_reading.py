"""Who only looks sees plain data where a class is not declared, and no class is loaded that is not."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pytest

from stretto.errors import ThreadError
from stretto.graph import Conversation
from stretto.messages import Message
from stretto.threads.checkpoint.reading import reading
from stretto.threads.checkpoint.serializer import strict_serializer


@dataclass
class Claim:
    number: str


class Claims(TypedDict, total=False):
    claim: Claim


def test_an_undeclared_class_is_shown_as_plain_data_and_messages_as_themselves() -> None:
    kept = strict_serializer(Claims).dumps_typed({"claim": [Claim("7")], "said": Message.user("hi")})
    strict = strict_serializer(Conversation)
    with pytest.raises(ThreadError, match="does not declare"):
        strict.loads_typed(kept)
    seen = reading(strict).loads_typed(kept)
    assert seen["said"] == Message.user("hi")
    (claim,) = seen["claim"]
    assert claim["type"].endswith(".Claim")
    assert claim["value"] == {"number": "7"}


def test_nothing_is_imported_to_look_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = strict_serializer(Claims).dumps_typed(Claim("7"))
    name = Claim.__module__.encode()
    forged = kept[0], kept[1].replace(name, b"antigravity".ljust(len(name), b"_"))
    before = set(sys.modules)
    assert reading(strict_serializer(Conversation)).loads_typed(forged)["type"].startswith("antigravity")
    assert not {module for module in set(sys.modules) - before if module.startswith("antigravity")}


def test_another_serializer_is_left_as_it_is() -> None:
    other = object()
    assert reading(other) is other
