"""Prepares text of any script for the keyword index, which tells words apart by what is no letter.

Chinese, Japanese, Thai and their like write without spaces: their runs become overlapping pairs (or longer
grams) of letters, Korean words too, whose endings hide the stem. Marks that a writer may leave out (Arabic
vowels, Hebrew points, combining accents) are dropped, and so are those that would cut a word of an Indic
script in two. The same is done to a query. Text in ASCII costs nothing. Knows no dictionary.
"""

import re
import unicodedata

_PAIRS = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\uac00-\ud7a3"
)
_LONGER = "\u0e01-\u0e4e\u0e80-\u0ecd\u1000-\u109f\u1780-\u17d3\u0f40-\u0fbc"
_GRAMS = 3
"""Letters of a gram where a letter is a sound: in Thai, Lao, Burmese, Khmer and Tibetan."""
_RUN = re.compile(f"([{_PAIRS}]+)|([{_LONGER}]+)")
_JOINERS = "".join(chr(code) for code in range(0x900, 0xE00) if unicodedata.combining(chr(code)) in (7, 9))
_MARKS = re.compile(
    f"[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    f"\u06d6-\u06ed{_JOINERS}\u200b-\u200f\u00ad\ufeff]"
)
_THAI_TONES = re.compile("[\u0e47-\u0e4e]")
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u0622\u0623\u0625\u0671", "\u0627"),  # Arabic alef with hamza or madda
        "\u0649": "\u064a",  # alef maksura
        "\u06cc": "\u064a",  # Persian yeh
        "\u06a9": "\u0643",  # Persian kaf
        "\u0451": "\u0435",  # Russian yo
        "\u0401": "\u0415",
        "\u0130": "I",  # Turkish, whose small form would leave a mark behind
    }
)


def segmented(text: str) -> str:
    """The text with spaces between its words, or what serves as words, in one form of each letter."""
    if text.isascii():
        return text
    text = _MARKS.sub("", unicodedata.normalize("NFKC", text)).translate(_SAME)
    return _RUN.sub(_grams, text)


def _grams(found: re.Match[str]) -> str:
    pairs = found.group(1)
    if pairs is not None:
        return f" {' '.join(_of(pairs, 2))} "
    return f" {' '.join(_of(_THAI_TONES.sub('', found.group()), _GRAMS))} "


def _of(run: str, length: int) -> list[str]:
    return [run[at : at + length] for at in range(max(1, len(run) - length + 1))]
