"""Runs the reference agent on its cases and holds it to the floors: route, source and answer, with intervals.

Takes `--model NAME`, `--only ID`, `--half HALF`, `--save FILE`, `--json`; prints, last, one line of JSON in
the form of every benchmark.
"""

import argparse
import asyncio
import json
import math
import re
import sys
import time
from pathlib import Path

from stretto import Agent, Image, Result
from stretto.errors import StrettoError
from stretto.events import RunFinished, TextDelta

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BARS = {"route": 0.90, "source": 0.85, "answer": 0.75}
"""What the agent is to reach; with a model of 1.5 billion parameters 0.85 of the answers."""
FLOORS = {"route": 0.90, "source": 0.80, "answer": 0.75}
"""Below these the run fails: what was measured on the 0.5B, less what a few cases may swing."""


def normal(text: str) -> str:
    """Lower case, one space, no hyphens, no thin spaces: what counts as the same words."""
    return re.sub(r"[\s\-\u2010-\u2013]+", " ", text.replace("*", "")).casefold().strip()


def holds(part: str | list[str], text: str) -> bool:
    """Whether the part, or one of its alternatives, stands in the text."""
    options = [part] if isinstance(part, str) else part
    return any(normal(option) in normal(text) for option in options)


def score(case: dict, result: Result, own: str) -> dict[str, bool | None]:
    """Which expectations the result meets, None where the case has none.

    `own` is the answer in the model's own words, without the quotes below it; tools speak for themselves.
    """
    expect = case["expect"]
    text = str(result.output)
    if expect["route"] == "tool":
        own = text
    cited = {citation.document for citation in result.citations}
    return {
        "route": result.state.get("route") == expect["route"],
        "source": bool(cited & set(expect["sources"])) if expect["sources"] else None,
        "answer": all(holds(part, text) for part in expect["contains"]) if expect["contains"] else None,
        "own_words": all(holds(part, own) for part in expect["contains"]) if expect["contains"] else None,
    }


def interval(good: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, good / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return middle - half, middle + half


async def ask(agent: Agent, question: list) -> tuple[Result, str]:
    """The result, and the text that came from the model itself."""
    own = ""
    async for event in agent.stream(question):
        if isinstance(event, TextDelta) and event.chunks:
            own += event.text
        elif isinstance(event, RunFinished) and event.result is not None:
            return event.result, own
    raise StrettoError("the run ended without a result")


async def play(agent: Agent, case: dict) -> tuple[dict[str, bool | None], dict]:
    """One case in a thread of its own."""
    question = [case["question"], *(Image(str(HERE / name)) for name in case.get("attach", ()))]
    began = time.perf_counter()
    try:
        result, own = await ask(agent, question)
    except StrettoError as error:
        return dict.fromkeys(("route", "source", "answer", "own_words"), False), {"error": str(error)}
    seconds = time.perf_counter() - began
    scores = score(case, result, own)
    cited = [citation.document for citation in result.citations]
    return scores, {
        "route": result.state.get("route"),
        "output": result.output,
        "cited": cited,
        "tools": [f"{run.name}({run.arguments})" for run in result.tools],
        "looks": [look.text for look in result.state.get("looks") or ()],
        "seconds": round(seconds, 2),
    }


async def run_all(cases: list[dict], model: str | None, verbose: bool) -> list[tuple[dict, dict, dict]]:
    """All cases in order."""
    rows = []
    agent = Agent.from_folder(ROOT / "agents" / "support_desk", model=model)
    async with agent:
        for number, case in enumerate(cases, 1):
            scores, detail = await play(agent, case)
            rows.append((case, scores, detail))
            bad = [name for name in BARS if scores[name] is False]
            mark = "ok  " if not bad else "MISS"
            print(f"{number:3}/{len(cases)} {mark} {case['id']:32} {' '.join(bad)}", flush=True)
            if bad and verbose:
                print(f"     asked: {case['question']}\n     wants: {json.dumps(case['expect'])}")
                print(f"     got:   {json.dumps(detail)}", flush=True)
    return rows


def figures(rows: list[tuple[dict, dict, dict]]) -> dict:
    """Shares by half and in all, with intervals."""
    halves = {
        "all": rows,
        "frozen": [row for row in rows if row[0]["frozen"]],
        "open": [row for row in rows if not row[0]["frozen"]],
    }
    table: dict[str, dict] = {}
    for half, chosen in halves.items():
        for what in (*BARS, "own_words"):
            counted = [scores[what] for _, scores, _ in chosen if scores[what] is not None]
            good = sum(counted)
            low, high = interval(good, len(counted))
            share = good / len(counted) if counted else 0.0
            table[f"{half}.{what}"] = {
                "share": round(share, 3),
                "good": good,
                "of": len(counted),
                "low": round(low, 3),
                "high": round(high, 3),
            }
    return table


def main() -> int:
    """Runs, prints a table and the line of JSON; 1 when all cases are below a floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="for instance local:qwen2.5-coder-1.5b; default: the project's")
    parser.add_argument("--only", help="a part of the ids to run")
    parser.add_argument("--half", choices=("frozen", "open"))
    parser.add_argument("--save", type=Path, help="write every case with its scores and answer to this file")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what went wrong")
    parser.add_argument("--json", action="store_true", help="only the line of JSON")
    options = parser.parse_args()
    cases = [
        json.loads(line) for line in (HERE / "cases.jsonl").read_text(encoding="utf-8").splitlines() if line
    ]
    cases = [case for case in cases if not options.only or options.only in case["id"]]
    cases = [case for case in cases if not options.half or case["frozen"] == (options.half == "frozen")]
    began = time.perf_counter()
    rows = asyncio.run(run_all(cases, options.model, options.verbose))
    if options.save:
        kept = [{"id": case["id"], **scores, **detail} for case, scores, detail in rows]
        options.save.write_text(json.dumps(kept, indent=1, default=str), encoding="utf-8")
    table = figures(rows)
    wanted = {**BARS, "answer": 0.85} if options.model and "1.5b" in options.model else BARS
    bars = [
        {
            "name": f"all.{what}",
            "value": table[f"all.{what}"]["share"],
            "limit": floor,
            "holds": table[f"all.{what}"]["share"] >= floor,
        }
        for what, floor in wanted.items()
    ]
    for name, row in table.items():
        interval = f"({row['low']:.1%} to {row['high']:.1%})"
        print(f"{name:16} {row['share']:6.1%}  {row['good']}/{row['of']}  {interval}")
    print(f"{time.perf_counter() - began:.0f} s")
    print(json.dumps({"benchmark": "support_desk", "figures": table, "bars": bars}))
    below = [what for what, floor in FLOORS.items() if table[f"all.{what}"]["share"] < floor]
    if below and len(cases) > 40:
        print(f"below the floor: {', '.join(below)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
