"""The openai package's types as a judge of what we send."""

from collections.abc import Iterator, Mapping

import pytest
from pydantic import TypeAdapter


def _walked(value):
    """`value` with every part of it looked at: pydantic checks an Iterable only when it is walked."""
    if isinstance(value, Mapping):
        return {name: _walked(part) for name, part in value.items()}
    if isinstance(value, list | tuple | Iterator):
        return [_walked(part) for part in value]
    return value


@pytest.fixture(scope="session")
def openai_takes():
    """`openai_takes(Type, value)` is `value` as that type of the openai package, or raises ValueError."""
    adapters = {}

    def take(kind, value):
        if str(kind) not in adapters:
            adapters[str(kind)] = TypeAdapter(kind)
        return _walked(adapters[str(kind)].validate_python(value))

    return take
