"""Prints a turn live: the path through the graph, the text as it comes, sources, timings and tokens.

An error is not printed here: it reaches the verb, which says it on stderr.
"""

from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console
from rich.markup import escape

from stretto._internal.redact import redact
from stretto.cli.output import as_plain
from stretto.display import with_marks
from stretto.events import (
    BudgetLow,
    Event,
    Interrupted,
    NodeFinished,
    NodeStarted,
    Retracted,
    Retrieved,
    RunFinished,
    TextDelta,
    ToolFinished,
    UsageReported,
)
from stretto.results import Citation, Result
from stretto.usage import Usage

_STEPS = {
    "cheaper_model": "goes on with a cheaper model",
    "less_context": "goes on with less context",
    "no_tools": "goes on without tools",
    "partial_answer": "ends with what there is",
}
"""What a step of the ladder of budgets does."""


class Show:
    """Takes a turn's events and prints them. One object a turn."""

    def __init__(self, console: Console, *, who: str) -> None:
        self._console, self._who = console, who
        self._in_text = False
        self._named = False
        self._asked, self._kept = 0, 0
        self._partial = False

    def event(self, event: Event) -> None:
        """Prints what the event says."""
        match event:
            case TextDelta():
                self._text(event.text)
            case NodeStarted():
                self._step(f"· {event.node}")
            case NodeFinished(status="fallback") if event.missing:
                self._step(
                    f"  {event.node} is down ({redact(event.missing.reason)}); going on without it", "yellow"
                )
            case Retrieved():
                names = dict.fromkeys(hit.document.id for hit in event.hits[:3])
                self._step(f"  {len(event.hits)} passages, nearest in {', '.join(names) or 'nothing'}")
            case ToolFinished():
                self._step(f"  {event.name}({redact(event.arguments)}) = {_short(redact(event.output))}")
            case Interrupted():
                for call_id, question in event.questions.items():
                    self._step(f"  waits for an answer to {call_id}: {redact(str(question))}", "yellow")
            case Retracted():
                why = f": {redact(event.reason)}" if event.reason else ""
                self._step(f"  what stands above is taken back{why}", "yellow")
                self._named = False
            case BudgetLow():
                self._partial = self._partial or event.step == "partial_answer"
                self._step(f"  {event.budget} is {event.share:.0%} spent; {_STEPS[event.step]}")
            case UsageReported():
                self._asked += 1
                self._kept += event.usage == Usage() and not self._partial
            case RunFinished(result=Result() as result):
                self._end(result)
            case _:
                pass

    def end_line(self) -> None:
        """Ends the line of the answer that is open; what comes of it then goes on below."""
        if self._in_text:
            self._in_text = False
            self._console.print()

    def _step(self, text: str, style: str = "dim") -> None:
        self.end_line()
        self._console.print(f"[{style}]  {escape(text)}[/]", highlight=False)

    def _text(self, text: str) -> None:
        if not self._in_text:
            text = text.lstrip("\n")
        if not self._in_text and text:
            if not self._named:
                self._console.print(f"[bold green]{escape(self._who)}[/] ", end="")
            self._in_text = self._named = True
        self._console.print(escape(text), end="", highlight=False, soft_wrap=True)

    def _end(self, result: Result) -> None:
        if result.output is not None and not isinstance(result.output, str):
            self._text(marked(result))
        self.end_line()
        for citation in _sources(result.citations):
            page = f", page {citation.page}" if citation.page else ""
            source = f"[{citation.number}] {citation.document}{page}: “{_short(citation.quote, 160)}”"
            self._console.print(f"[cyan]  {escape(source)}[/]", highlight=False)
        first = result.timings.get("first_text")
        parts = [
            " > ".join(result.path),
            f"{result.timings.get('total', 0.0):.1f} s" + (f" (first text {first:.1f} s)" if first else ""),
            self._used(result.usage),
        ]
        self._console.print(f"[dim]  {escape(' | '.join(parts))}[/]\n", highlight=False)

    def _used(self, usage: Usage) -> str:
        """What the turn consumed; an answer that a cache of ours kept consumed nothing."""
        if self._kept and self._kept == self._asked:
            return "from the cache"
        cost = f", {usage.cost:.4g} USD" if usage.cost else ""
        kept = ", partly from the cache" if self._kept else ""
        return f"{usage.input_tokens} + {usage.output_tokens} tokens{cost}{kept}"


def _sources(citations: Sequence[Citation]) -> Iterator[Citation]:
    """Each source once: without quotes that stand in another one of the same number."""
    told: dict[tuple[int, str], Citation] = {}
    for citation in citations:
        told.setdefault((citation.number, citation.quote), citation)
    for (number, quote), citation in told.items():
        if not any(at == number and quote != other and quote in other for at, other in told):
            yield citation


def marked(result: Result) -> str:
    """The answer with the numbers of its sources; a structured one as JSON."""
    if not isinstance(result.output, str):
        return msgspec.json.format(msgspec.json.encode(result.output, enc_hook=as_plain)).decode()
    return with_marks(result.output, ((citation.span[1], citation.number) for citation in result.citations))


def _short(text: str, most: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
