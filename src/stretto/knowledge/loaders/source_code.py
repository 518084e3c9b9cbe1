"""Source code and configuration files: the text as it stands; definitions are its headings.

Passages then begin at definitions and blank lines, and each knows the class and function it stands in.
"""

import re
from pathlib import PurePath

from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.protocol import Heading, Loaded
from stretto.knowledge.loaders.text import decode, noted

_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|override|open|sealed|"
    r"data|inline|const|unsafe|extern|virtual|pub(?:\([a-z]+\))?)[ \t]+)*"
)
_NAME = r"(?:\([^)\n]{0,80}\)[ \t]*)?(?P<name>[A-Za-z_$][\w$.]*)"
_DEFINITION = re.compile(
    rf"(?P<indent>[ \t]*){_MODIFIERS}(?:class|function|func|fn|interface|struct|enum|trait|impl|namespace|"
    rf"module|mod|type|record|object|protocol|extension|def)\*?[ \t]+{_NAME}"
)
_PYTHON = re.compile(rf"(?P<indent>[ \t]*)(?:async[ \t]+)?(?:class|def)[ \t]+{_NAME}[(:\[]")
_SQL = re.compile(
    r"(?P<indent>[ \t]*)create[ \t]+(?:or[ \t]+replace[ \t]+)?(?:\w+[ \t]+)?(?:table|view|function|procedure|"
    rf"index|trigger|type)[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?{_NAME}",
    re.IGNORECASE,
)
_C_FUNCTION = re.compile(
    r"(?P<indent>)[A-Za-z_][\w \t*&:<>,]{0,120}[ \t*&](?P<name>[\w:~]+)\([^;{}]*(?:\{[ \t]*)?$"
)
_SECTION = re.compile(r"(?P<indent>)\[+(?P<name>[^\]\n]{1,100})\]+[ \t]*$")
_LEADING = re.compile(r"[ \t]*(?:@|#\[|//|#(?!include|define|if|endif)|--|\*|/\*)")
_SECTIONED = frozenset((".toml", ".ini", ".cfg"))
_PATTERNS = (
    dict.fromkeys((".c", ".h", ".cc", ".cpp", ".hpp", ".cxx", ".cs", ".java"), [_DEFINITION, _C_FUNCTION])  # noqa: RUF024 (read only)
    | dict.fromkeys(_SECTIONED, [_SECTION])  # noqa: RUF024 (as above)
    | {".py": [_PYTHON], ".pyi": [_PYTHON], ".sql": [_SQL]}
)
_PLAIN = frozenset((".yaml", ".yml", ".xml", ".css", ".json"))
_KEYWORDS = frozenset(("if", "for", "while", "switch", "return", "else", "catch", "sizeof"))


def load_source_code(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The text, as text/x-code; its definitions are headings, with their comments and decorators."""
    found = decode(data, name)
    suffix = PurePath(name).suffix.lower()
    metadata = noted(found.encoding) | {"language": suffix[1:]}
    headings = () if suffix in _PLAIN else tuple(_definitions(found.text, suffix))
    return Loaded(
        found.text, PurePath(name).name, "text/x-code", headings, metadata=metadata, warnings=found.warnings
    )


def _definitions(text: str, suffix: str) -> list[Heading]:
    patterns = _PATTERNS.get(suffix, [_DEFINITION])
    found: list[Heading] = []
    indents: list[int] = []
    offset, leading = 0, -1  # where the comments and decorators above the line begin
    for line in text.split("\n"):
        match = next((hit for pattern in patterns if (hit := pattern.match(line[:400]))), None)
        if match and match["name"].lower() not in _KEYWORDS:
            indent = len(match["indent"].expandtabs(4))
            while indents and indents[-1] >= indent:
                indents.pop()
            indents.append(indent)
            start = leading if leading >= 0 else offset
            found.append(Heading(start, offset + len(line), min(len(indents), 6), match["name"]))
            leading = -1
        elif _LEADING.match(line):
            leading = offset if leading < 0 else leading
        else:
            leading = -1
            if indents and line[:1].strip() and line[0] not in ")}]" and suffix not in _SECTIONED:
                indents.clear()  # the outermost level again: no definition's name stands above this
                found.append(Heading(offset, offset + len(line), 1, ""))
        offset += len(line) + 1
    return found
