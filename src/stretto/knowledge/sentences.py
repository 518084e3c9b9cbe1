"""Where sentences begin and end. Knows nothing of documents; works on Markdown and plain text."""

import re

_CLOSING = "\u201d\u2019\u00bb"  # closing quotation marks
_WIDE = "\u3002\uff01\uff1f"  # full stop, exclamation and question mark of East Asian text
_BREAK = re.compile(
    rf"[.!?\u2026]+[\"'{_CLOSING})\]*_]*(?=\s)"  # the end of a sentence
    rf"|[{_WIDE}]+[\u300d\u300f{_CLOSING}]*"
    r"|\n[ \t]*\n\s*"  # an empty line
    r"|\n(?=[ \t]*(?:[-*+•][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t]|\|))"  # next comes an item, heading or row
    r"|(?<=\|)[ \t]*\n"
)
_HEADING_LINE = re.compile(r"[ \t]{0,3}#{1,6}[ \t][^\n]*\n?")
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        "mr mrs ms dr prof st no nr vs etc e.g i.e eg ie approx fig art inc ltd co jr sr al z.b bzw ca u.s "
        "p pp vol sec min max tel",
    )
)


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Spans of the sentences in `text[start:end]`, without the white space around them, in order."""
    stop = len(text) if end is None else end
    spans: list[tuple[int, int]] = []
    begin = start
    while begin < stop:
        cut = _next_break(text, begin, stop)
        span = _trimmed(text, begin, cut)
        if span[0] < span[1]:
            spans.append(span)
        begin = cut
    return spans


def _next_break(text: str, begin: int, stop: int) -> int:
    heading = _HEADING_LINE.match(text, begin, stop)
    if heading and (begin == 0 or text[begin - 1] == "\n"):
        return heading.end()
    position = begin
    while found := _BREAK.search(text, position, stop):
        position = found.end()
        if not _false_end(text, begin, found.start(), position, stop):
            return position
    return stop


def _false_end(text: str, begin: int, mark: int, after: int, stop: int) -> bool:
    """Whether the full stop at `mark` belongs to an abbreviation, a list number or an initial."""
    if text[mark] != ".":
        return False
    word = re.search(r"[\w.]+$", text[max(begin, mark - 12) : mark])
    last = word.group(0) if word else ""
    if last.lower() in _ABBREVIATIONS or (len(last) == 1 and last.isalpha() and last.isupper()):
        return True
    if last.isdigit() and not text[begin:mark].strip(" \t#*>-").rstrip("0123456789"):
        return True  # "1. First item"
    following = text[after:stop].lstrip()[:1]
    return following.islower()


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
