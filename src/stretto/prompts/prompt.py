"""`Prompt`: a text with places to fill in. Knows no model and no template language; nothing in it is run."""

import difflib
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from stretto._internal.plain import Plain
from stretto.errors import ConfigError

MAX_FILE = 200_000
"""Bytes of a prompt file."""
MAX_RENDERED = 2_000_000
"""Characters of a prompt once its values are filled in."""

_NAME = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")


class Prompt(Plain, frozen=True):
    """A prompt's text and settings."""

    name: str
    text: str
    settings: dict[str, Any] = {}
    """What stands between the `---` lines at the head of the file."""
    version: str = ""
    """The first 12 hex digits of the sha256 of the whole file."""
    source: str = ""
    """The file it was read from."""
    first_line: int = 1
    """The line of the file where the text begins."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names to fill in, each once, in order."""
        return tuple(dict.fromkeys(found[1].strip() for found in _PLACE.finditer(self.text)))

    def render(self, **values: Any) -> str:
        """The text with every `{{name}}` replaced by `str(values["name"])`; values are never expanded again.

        Raises:
            ConfigError: A name of the text has no value, a value has no place in the text, or the result is
                too long.
        """
        names = self.placeholders
        for name in values:
            if name not in names:
                known = ", ".join(f"{{{{{each}}}}}" for each in names) or "none"
                raise ConfigError(
                    f"the prompt `{self.name}` has no place {{{{{name}}}}}; it has {known}",
                    where=self._where(0),
                )
        for found in _PLACE.finditer(self.text):
            if found[1].strip() not in values:
                raise ConfigError(
                    f"the prompt `{self.name}` needs a value for {{{{{found[1].strip()}}}}}",
                    where=self._where(found.start()),
                )
        text = _PLACE.sub(lambda found: str(values[found[1].strip()]), self.text)
        if len(text) > MAX_RENDERED:
            raise ConfigError(
                f"the prompt `{self.name}` has {len(text)} characters once filled in; at most {MAX_RENDERED}",
                where=self._where(0),
            )
        return text

    def _where(self, offset: int) -> str:
        return f"{self.source or self.name}:{self.first_line + self.text.count(chr(10), 0, offset)}"


def load(root: str | Path, name: str) -> Prompt:
    """The prompt in `<root>/prompts/<name>.md`; `name` may have folders, as in `support/answer`.

    Raises:
        ConfigError: No such file, not UTF-8, too large, or its head or a place in it is malformed, with file
            and line.
    """
    folder = Path(root) / "prompts"
    path = folder / f"{name}.md"
    if not _NAME.fullmatch(name):
        raise ConfigError(f"`{name}` is no prompt name: letters, digits, _ and -, with / between folders")
    if not path.is_file():
        raise ConfigError(_not_found(folder, name), where=str(path))
    return parse(name, _read(path), source=str(path))


def parse(name: str, content: str, *, source: str = "") -> Prompt:
    """The prompt in `content`: an optional head of YAML between two `---` lines, then the text."""
    where = source or name
    content = content.replace("\r\n", "\n")
    head, text, first = "", content, 1
    lines = content.split("\n")
    if lines[0].rstrip() == "---":
        end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
        if end is None:
            raise ConfigError("the head begins with --- and has no second --- line", where=f"{where}:1")
        head, text, first = "\n".join(lines[1:end]), "\n".join(lines[end + 1 :]), end + 2
    while text.startswith("\n"):
        text, first = text[1:], first + 1
    prompt = Prompt(
        name,
        text.rstrip(),
        _settings(head, where),
        hashlib.sha256(content.encode()).hexdigest()[:12],
        source,
        first,
    )
    for found in _PLACE.finditer(prompt.text):
        if not _WORD.fullmatch(found[1].strip()):
            shown = found[0] if len(found[0]) <= 40 else found[0][:40] + "..."
            line = first + prompt.text.count("\n", 0, found.start())
            raise ConfigError(
                f"`{shown}` is no place to fill in: write {{{{name}}}}", where=f"{where}:{line}"
            )
    return prompt


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE:
            raise ConfigError(f"has {len(data)} bytes; a prompt has at most {MAX_FILE}", where=str(path))
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text", where=f"{path}:{line}") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None


def _settings(head: str, where: str) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 (20 ms of CPU; a prompt written in code has no head)

    try:
        events = cast("Iterable[object]", yaml.parse(head, yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType]
        if any(isinstance(event, yaml.AliasEvent) for event in events):
            raise ConfigError("aliases (*name) are not allowed in the head", where=f"{where}:1")
        data: Any = yaml.safe_load(head)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 2, mark.column + 1) if mark else (1, 1)
        raise ConfigError(
            f"the head is not YAML: {error.problem or error.context}", where=f"{where}:{line}:{column}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError("the head is not YAML", where=f"{where}:2") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError("the head has to be `name: value` lines", where=f"{where}:2")
    return {str(key): value for key, value in cast("dict[Any, Any]", data).items()}


def _not_found(folder: Path, name: str) -> str:
    known = sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.md"))
    close = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean `{close[0]}`?" if close else ""
    listed = ", ".join(f"`{each}`" for each in known[:20]) or "none"
    return f"there is no prompt `{name}`.{hint} Prompts: {listed}"
