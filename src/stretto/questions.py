"""What is asked of a person, and what they answer. Knows no node, no tool and no thread."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from stretto._internal.plain import Plain
from stretto._internal.shapes import MOST, checker, json_schema, pydantic_adapter
from stretto.errors import ConfigError

AnswerShape = type[Any] | Mapping[str, Any]
"""What an answer has to fit: a type, or a JSON Schema."""


class Answer(Plain, frozen=True):
    """A person's answer, with who gave it: `run(answers={call_id: Answer(True, by="ada")})`."""

    value: Any
    by: str = ""
    """Who answered, as the program knows them."""
    at: float = 0.0
    """Seconds since 1970; filled in when it is given."""
    bound: str = ""
    """What it holds for; filled in from the question."""
    expired: bool = False
    """It came too late."""


class Terms(Plain, frozen=True):
    """On what terms an answer is taken."""

    schema: dict[str, Any] = {}
    """The JSON Schema it has to fit."""
    until: float | None = None
    """Seconds since 1970 after which it is too late."""
    bound: str = ""
    """What it holds for: another question under the same id is asked anew."""


def agreed(answer: Any) -> bool:
    """Only a clear yes is one: True, "yes" or `{"approved": true}`."""
    if isinstance(answer, Mapping):
        answer = cast("Mapping[str, Any]", answer).get("approved")
    if isinstance(answer, str):
        return answer.strip().lower() in ("yes", "y", "true", "approve", "approved")
    return answer is True


def schema_of(shape: AnswerShape | None) -> dict[str, Any]:
    """The JSON Schema that an answer has to fit, checked; raises ConfigError for none."""
    if shape is None:
        return {}
    if isinstance(shape, Mapping):
        schema = dict(shape)
        checker("schema", schema)
        return schema
    return json_schema(shape, getattr(shape, "__name__", str(shape)))


def faults_of(value: Any, schema: Mapping[str, Any]) -> str:
    """What is wrong with an answer, in one line; empty where it fits."""
    if not schema:
        return ""
    found = list(checker("schema", schema).iter_errors(value))
    return "; ".join(f"{fault.message} at `{fault.json_path}`" for fault in found[:MOST])


def revived(value: Any, shape: AnswerShape | None) -> Any:
    """An answer as an object of its shape; raises ValueError where it does not fit."""
    if shape is None:
        return value
    if isinstance(shape, Mapping):
        wrong = faults_of(value, shape)
        if wrong:
            raise ValueError(wrong)
        return value
    adapter = pydantic_adapter(shape)
    return msgspec.convert(value, shape) if adapter is None else adapter.validate_python(value)


def plain(value: Any) -> Any:
    """An answer as plain data, as it is kept; raises ConfigError where that cannot be."""
    try:
        return msgspec.to_builtins(value, enc_hook=_dumped)
    except (TypeError, NotImplementedError, RecursionError):
        kind = type(value).__name__
        raise ConfigError(f"an answer is a `{kind}`, which cannot be kept; give plain data") from None


def _dumped(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # pydantic
    if callable(dump):
        return dump(mode="json")
    raise NotImplementedError
