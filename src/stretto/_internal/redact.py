"""Masks secrets in text that is about to be shown, logged or kept. Knows no file and no setting.

It looks for the shapes that secrets have; a secret without any shape is masked when it is passed as `known`.
"""

import re
from collections.abc import Iterable

MASK = "***"

_NAMES = (
    r"(?:(?:api[_-]?key|access[_-]?key|private[_-]?key|secret|passw(?:or)?d|passphrase|credential|signature)"
    r"[\w-]{0,40}|token|(?<![a-z])(?:pwd|sig))"
)
_NOT = r"(?!\*\*\*|\.\.\.`?(?:[\s\"'&,;})\]\\]|\Z))"
"""What is masked already; and three dots, which stand for a value in what to type: `api_key=...`."""
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), MASK),
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://)[^\s/?#@\"'<>]+@", re.I), rf"\1{MASK}@"),
    (
        re.compile(
            r"""((?:proxy-)?authorization|(?:set-)?cookie)(\\?["']?\s*[:=,]\s*(?:b(?=[\"\']))?\\?["']?)[^"'\r\n\\,}]+""",
            re.I,
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"\b(bearer|basic)(\s+)(?=[\w.~+/=-]*[\d_.~+/=-])[\w.~+/=-]{8,}", re.I), rf"\1\2{MASK}"),
    (
        re.compile(
            rf"""({_NAMES})(\\?["']?\s*[:=]\s*(?:b(?=[\"\']))?\\?["']?){_NOT}[^\s"'&,;}})\]\\]+""", re.I
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"\b(?:sk|pk|rk)[-_][\w-]{12,}"), MASK),
    (re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_\w{16,})"), MASK),
    (re.compile(r"\b(?:xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,})"), MASK),
    (re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{8,8000}\.[\w-]*"), MASK),
)
_MAY = re.compile(r"[-_:=,\s]|AKIA|AIza|eyJ")
"""Without any of these no rule finds anything."""


def redact(text: str, *, known: Iterable[str] = ()) -> str:
    """The text with every API key, token, password and URL login replaced by `***`.

    Args:
        text: What is about to be shown.
        known: Secrets whose exact value the caller has, such as a configured key of an unusual shape.
    """
    for secret in sorted((item for item in known if len(item) >= 4), key=len, reverse=True):
        text = text.replace(secret, MASK)
    if _MAY.search(text) is None:
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
