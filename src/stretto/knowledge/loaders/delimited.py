"""CSV and TSV: one table, row by row, so that a huge file costs no more memory than its text."""

import csv
import io
from collections.abc import Iterator

from stretto.errors import DamagedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import Assembly
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.loaders.text import decode, noted, title_from

_WIDEST = 1_000
_FIELD = 10_000_000


def load_delimited(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The rows as a Markdown table; the first is its header. The delimiter is told by the first lines.

    Raises:
        DamagedMedia: Its rows cannot be told apart.
    """
    found = decode(data, name)
    assembly = Assembly(name, limits)
    for warning in found.warnings:
        assembly.warn(warning)
    assembly.heading(title_from(name), 1)
    assembly.table(_rows(found.text, name, assembly))
    return assembly.loaded(title_from(name), "text/csv", **noted(found.encoding))


def _rows(text: str, name: str, assembly: Assembly) -> Iterator[list[str]]:
    csv.field_size_limit(_FIELD)
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text), strict=False)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DamagedMedia(f"`{name}` cannot be read as rows: {error}; save it as CSV again") from None
        if len(row) > _WIDEST:
            assembly.warn(f"rows have more than {_WIDEST:,} cells; the first ones are kept")
        yield row[:_WIDEST]


def _delimiter(text: str) -> str:
    """The mark that stands equally often in the first lines; a comma where none does."""
    lines = [line for line in text[:20_000].split("\n")[:20] if line.strip()]
    lines = lines[:-1] if len(lines) > 2 else lines  # the last may be cut

    def score(mark: str) -> tuple[float, int]:
        counts = [line.count(mark) for line in lines]
        usual = max(set(counts), key=counts.count, default=0)
        return (counts.count(usual) / len(counts) if usual else 0.0, usual)

    best = max(",;\t|", key=score)
    return best if score(best)[0] > 0 else ","
