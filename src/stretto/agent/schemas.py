"""The JSON Schemas of `agent.yaml` and `stretto.yaml`, from the types that read them, for editors."""

from typing import Any

import msgspec

from stretto.agent.project import AgentFile, ProjectFile

FILES = {"agent": AgentFile, "stretto": ProjectFile}


def schemas() -> dict[str, dict[str, Any]]:
    """By the file's name without its ending."""
    return {name: _schema(name, kind) for name, kind in FILES.items()}


def _schema(name: str, kind: type[Any]) -> dict[str, Any]:
    (top,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name}.yaml",
        **top,
        "$defs": components,
    }
