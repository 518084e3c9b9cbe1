"""What a page's styles hide from its reader: by display, size, colour or place. Knows no text.

Only what hides is looked for; a style sheet elsewhere is never fetched. Rules for some media only (print, a
narrow screen) do not count.
"""

import re
from typing import Any

_DECLARED = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|content-visibility\s*:\s*hidden"
    r"|font-size\s*:\s*[01](?:\.\d+)?(?:px|pt)?\s*(?:[;!]|$)|font-size\s*:\s*0?\.\d+(?:px|pt)"
    r"|font-size\s*:\s*0(?:\.0+)?(?:px|pt|r?em|%)?\s*(?:[;!]|$)"
    r"|opacity\s*:\s*(?:0?\.0\d*|0(?:\.0\d*)?)\s*%?\s*(?:[;!]|$)"
    r"|(?:text-indent|left|top|margin-left|margin-top)\s*:\s*-\d{3,}"
    r"|clip\s*:\s*rect\(\s*[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?\s*\)"
    r"|clip-path\s*:\s*inset\(\s*(?:50|100)%"
    r"|transform\s*:\s*scale\(\s*0\s*\)|(?<![-\w])color\s*:\s*transparent",
    re.IGNORECASE,
)
_SMALL = re.compile(r"(?<![-\w])(?:max-)?(?:height|width)\s*:\s*[01](?:px)?\s*(?:[;!]|$)", re.IGNORECASE)
_CUT = re.compile(r"overflow(?:-[xy])?\s*:\s*(?:hidden|clip)", re.IGNORECASE)
_COLOUR = re.compile(r"(?<![-\w])color\s*:\s*([^;!]+)", re.IGNORECASE)
_GROUND = re.compile(r"background(?:-color)?\s*:\s*([^;!]+)", re.IGNORECASE)
_WHITE = re.compile(
    r"^(?:white|#fff|#ffffff|rgba?\(\s*255\s*,\s*255\s*,\s*255\s*(?:,\s*1(?:\.0+)?\s*)?\))$", re.I
)
_SELECTOR = re.compile(r"[\w\s.#>*,\[\]=\"'-]+")
_RULES, _SHEET = 200, 300_000
"""Rules that hide, and characters of style sheets, that are looked at in a page."""


def hides(style: str) -> bool:
    """Whether the declarations of a style attribute or rule hide an element."""
    if not style:
        return False
    if _DECLARED.search(style) or (_SMALL.search(style) and _CUT.search(style)):
        return True
    colour, ground = _COLOUR.search(style), _GROUND.search(style)
    if colour is None:
        return False
    ink = colour[1].strip().lower()
    if ground is not None:
        return ink == ground[1].strip().lower()
    return bool(_WHITE.match(ink))


def hidden_nodes(tree: Any) -> set[int]:
    """The ids (`mem_id`) of the nodes that the page's own style sheets hide."""
    found: set[int] = set()
    sheets = "".join(sheet.text() or "" for sheet in tree.css("style")[:_RULES])[:_SHEET]
    used = 0
    for rule in _without_media(_without_comments(sheets)).split("}"):
        selector, opened, declared = rule.partition("{")
        selector = selector.strip()
        if not opened or not _hides_by_rule(declared[:10_000]):
            continue
        used += 1
        if used > _RULES:
            break
        if _SELECTOR.fullmatch(selector[:1_000]) and selector not in ("html", "body", "*"):
            found.update(node.mem_id for node in _matched(tree, selector))
    return found


def _hides_by_rule(declared: str) -> bool:
    """White ink does not count in a rule: where it is used, another rule often sets a dark ground."""
    return hides(_COLOUR.sub("", declared)) or bool(re.search(r"(?<![-\w])color\s*:\s*transparent", declared))


def _matched(tree: Any, selector: str) -> list[Any]:
    try:
        return tree.css(selector)
    except ValueError:
        return []  # a selector that the parser does not know hides nothing


def _without_comments(text: str) -> str:
    first, *rest = text.split("/*")
    return " ".join([first, *(part.partition("*/")[2] for part in rest)])


def _without_media(text: str) -> str:
    """The style sheet without blocks that begin with an `@`, whatever is inside them."""
    kept: list[str] = []
    place, opened = 0, -1
    while (at := text.find("@", place)) >= 0:
        kept.append(text[place:at])
        if opened < at:
            opened = text.find("{", at)
            opened = len(text) if opened < 0 else opened
        ended = text.find(";", at, opened)
        if ended >= 0 or opened == len(text):
            place = ended + 1 if ended >= 0 else len(text)
            continue
        depth, place = 1, opened + 1
        while depth and place < len(text):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            place += 1
    return "".join([*kept, text[place:]])
