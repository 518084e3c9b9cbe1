"""Reads an agent's folder: agent.yaml, graph.py, its tools and its knowledge. Opens no store."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stretto._internal.yaml_files import read_yaml
from stretto.agent.presets import answering
from stretto.agent.project import AgentFile, Project, find_project
from stretto.agent.spec import AgentSpec, Models
from stretto.errors import ConfigError, StrettoError
from stretto.graph import Graph
from stretto.knowledge import KnowledgeBase
from stretto.models.output import Form
from stretto.models.protocol import OutputSchema
from stretto.tools import Tool
from stretto.tools.load import load_tools


def read_folder(path: Path | str, *, model: str | None = None) -> tuple[AgentSpec, Path | None]:
    """The agent in the folder `path`, and the folder of its documents if it has one."""
    folder = Path(path).resolve()
    if not (folder / "agent.yaml").is_file():
        folder = find_project().agent_folder(str(path))
    project = find_project(folder)
    file = read_yaml(folder / "agent.yaml", AgentFile)
    models = Models(project, file, model=model, source=folder / "agent.yaml")
    knowledge, documents = _knowledge(folder, project, file, models)
    tools, output = _tools(folder, project, file), _output(folder, file)
    spec = AgentSpec(folder.name, folder, project, models, file, tools, knowledge, output)
    return spec, documents


def build_graph(spec: AgentSpec) -> Graph:
    """The graph of the folder's graph.py, else the preset."""
    source = spec.folder / "graph.py"
    if source.is_file():
        return _built(source, spec)
    prompt = spec.prompt(spec.file.prompt) if spec.file.prompt else spec.file.instructions
    return answering(
        spec.models.chat,
        tools=spec.tools,
        knowledge=spec.knowledge,
        prompt=prompt,
        seeing=spec.models.vision,
        cite=spec.models.embed if spec.knowledge is not None else False,
        limits=spec.limits,
        output=None if spec.output is None else Form(spec.output),
        memory=spec.file.memory,
    )


def _build_function(source: Path) -> Callable[..., object]:
    name = f"_stretto_graph_{source.parent.name}"
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise ConfigError("cannot be loaded as a module", where=str(source))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations of its nodes are resolved through this entry
    try:
        spec.loader.exec_module(module)
    except StrettoError:
        raise
    except SyntaxError as error:
        where = f"{source}:{error.lineno}:{error.offset or 1}" if error.lineno else str(source)
        raise ConfigError(f"SyntaxError: {error.msg}; correct the file", where=where) from None
    except (Exception, SystemExit) as error:
        raise _own_fault(error, source) from None
    build = getattr(module, "build", None)
    if not callable(build):
        raise ConfigError(
            "has no `def build(spec) -> Graph`; write one, or remove the file", where=str(source)
        )
    return build


def _built(source: Path, spec: AgentSpec) -> Graph:
    build = _build_function(source)
    try:
        graph = build(spec)
    except StrettoError:
        raise
    except (Exception, SystemExit) as error:
        raise _own_fault(error, source) from None
    if not isinstance(graph, Graph):
        raise ConfigError(
            f"build(spec) returned {type(graph).__name__}; return a stretto.Graph", where=str(source)
        )
    return graph


def _own_fault(error: BaseException, source: Path) -> ConfigError:
    """What went wrong in somebody's own file, with its line there."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(source)
    ]
    where = f"{source}:{lines[-1]}" if lines else str(source)
    return ConfigError(f"{type(error).__name__}: {error}; correct the file", where=where)


def _tools(folder: Path, project: Project, file: AgentFile) -> tuple[Tool, ...]:
    found: list[Tool] = []
    for entry in file.tools:
        module, _, wanted = entry.partition(":")
        source = project.root / "tools" / f"{module}.py"
        if not source.is_file():
            raise ConfigError(
                f"tools: `{entry}`: there is no file {source}", where=str(folder / "agent.yaml")
            )
        loaded = load_tools(source)
        chosen = [tool for tool in loaded if not wanted or tool.name == wanted]
        if not chosen:
            names = ", ".join(tool.name for tool in loaded) or "none"
            raise ConfigError(
                f"tools: `{entry}`: {source.name} has: {names}", where=str(folder / "agent.yaml")
            )
        found += chosen
    return tuple(found)


def _output(folder: Path, file: AgentFile) -> OutputSchema | None:
    """The JSON Schema that answers have to fit."""
    if not isinstance(file.output, str):
        return None if file.output is None else OutputSchema(folder.name, file.output)
    source = folder / file.output
    if not source.is_file():
        raise ConfigError(f"output: there is no file {source}", where=str(folder / "agent.yaml"))
    try:
        schema = msgspec.json.decode(source.read_bytes(), type=dict[str, Any])
    except ValueError as error:
        raise ConfigError(f"is no JSON Schema: {error}", where=str(source)) from None
    return OutputSchema(source.name.partition(".")[0], schema)


def _knowledge(
    folder: Path, project: Project, file: AgentFile, models: Models
) -> tuple[KnowledgeBase | None, Path | None]:
    wanted = file.knowledge
    if wanted is None and (folder / "knowledge").is_dir():
        wanted = "knowledge"
    if wanted is None:
        return None, None
    documents = folder / wanted
    name = folder.name if documents.is_dir() else wanted
    place = project.knowledge_path(name)
    return _open_knowledge(place, models), documents if documents.is_dir() else None


def _open_knowledge(place: Path, models: Models) -> KnowledgeBase:
    options: dict[str, Any] = {"embedder": models.embed}
    return KnowledgeBase(place, **options)
