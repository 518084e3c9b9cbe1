"""What every benchmark prints: its figures, its bars, and as the last line one JSON object of both."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def bar(name: str, value: float, limit: float, *, below: bool = False) -> dict[str, Any]:
    """One bar: `value` is at most `limit`, or strictly under it with `below`."""
    holds = value < limit if below else value <= limit
    return {"name": name, "value": round(value, 3), "limit": limit, "holds": holds}


def show(
    benchmark: str, figures: Mapping[str, Any], bars: Sequence[Mapping[str, Any]], *, quiet: bool
) -> None:
    """Prints a table unless `quiet`, then the JSON line; exits with 1 when a bar does not hold."""
    if not quiet:
        for name, value in figures.items():
            print(f"{name:<44} {value}")
        for item in bars:
            verdict = "holds" if item["holds"] else "BROKEN"
            print(f"{verdict:<7} {item['name']}: {item['value']} of {item['limit']}")
    print(json.dumps({"benchmark": benchmark, "figures": dict(figures), "bars": list(bars)}))
    sys.exit(0 if all(item["holds"] for item in bars) else 1)


def interval(good: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of the share `good / of`; 0 to 1 where nothing was counted."""
    if not of:
        return 0.0, 1.0
    z, part = 1.96, good / of
    middle = (part + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(part * (1 - part) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return middle - half, middle + half


def share(results: Sequence[bool]) -> dict[str, float]:
    """How many of the results are good, as a share with its interval."""
    good, of = sum(results), len(results)
    low, high = interval(good, of)
    return {
        "share": round(good / of, 3) if of else 0.0,
        "good": good,
        "of": of,
        "low": round(low, 3),
        "high": round(high, 3),
    }
