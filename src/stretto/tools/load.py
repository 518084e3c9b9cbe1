"""Finds the tools in Python files: loads each by its path under a private name, and leaves `sys.path` alone.

Knows nothing of projects and agents: it is told where to look.
"""

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from stretto.errors import ConfigError
from stretto.tools.schema import place_of
from stretto.tools.tool import Tool


def load_tools(path: str | Path) -> list[Tool]:
    """Every tool of a file, or of all `*.py` in a folder (names that begin with `_` are left out).

    Tools come in the order of the files' names, then of their definition.

    Raises:
        ConfigError: No such path, a file that cannot be loaded (with its line), a file without tools, or two
            tools of one name.
    """
    root = Path(path).expanduser()
    if root.is_dir():
        files = sorted(file for file in root.glob("*.py") if not file.name.startswith("_"))
    elif root.is_file():
        files = [root]
    else:
        raise ConfigError(f"there is no file or folder `{root}` to load tools from")
    found: dict[str, Tool] = {}
    for file in files:
        module = _load(file.resolve())
        tools = [value for value in vars(module).values() if isinstance(value, Tool)]
        if not tools and file == root:
            raise ConfigError("holds no tool: put @tool above a function", where=str(file))
        for tool in tools:
            other = found.setdefault(tool.name, tool)
            if other is not tool:
                raise ConfigError(
                    f"the name `{tool.name}` is taken by {place_of(other.function)}: rename one, "
                    'or write @tool(name="...")',
                    where=place_of(tool.function),
                )
    return list(found.values())


def _load(file: Path) -> ModuleType:
    name = f"_stretto_tools_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError("is not a Python file", where=str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and msgspec look their module up there
    try:
        spec.loader.exec_module(module)
    except ConfigError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigError(f"{type(error).__name__}: {text}", where=_where(file, error)) from None
    return module


def _where(file: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{error.filename or file}:{error.lineno}:{error.offset or 1}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)
