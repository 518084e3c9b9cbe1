"""Prints a turn live: the path through the graph, the text as it comes, sources, timings and tokens."""

import msgspec
from rich.console import Console
from rich.markup import escape

from stretto._internal.redact import redact
from stretto.cli.output import as_plain
from stretto.display import with_marks
from stretto.events import (
    ErrorRaised,
    Event,
    Interrupted,
    NodeFinished,
    NodeStarted,
    Retracted,
    Retrieved,
    RunFinished,
    TextDelta,
    ToolFinished,
)
from stretto.results import Result


class Show:
    """Takes a turn's events and prints them. One object a turn."""

    def __init__(self, console: Console, *, who: str) -> None:
        self._console, self._who = console, who
        self._in_text = False

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
                self._step("  the answer broke off; what stands above is taken back", "yellow")
            case ErrorRaised():
                self._step(f"  {redact(event.message)}", "red")
            case RunFinished(result=Result() as result):
                self._end(result)
            case _:
                pass

    def _step(self, text: str, style: str = "dim") -> None:
        if self._in_text:
            self._console.print()
            self._in_text = False
        self._console.print(f"[{style}]  {escape(text)}[/]", highlight=False)

    def _text(self, text: str) -> None:
        if not self._in_text:
            text = text.lstrip("\n")
        if not self._in_text and text:
            self._console.print(f"[bold green]{escape(self._who)}[/] ", end="")
            self._in_text = True
        self._console.print(escape(text), end="", highlight=False, soft_wrap=True)

    def _end(self, result: Result) -> None:
        if result.output is not None and not isinstance(result.output, str):
            self._text(marked(result))
        if self._in_text:
            self._console.print()
        for citation in result.citations:
            page = f", page {citation.page}" if citation.page else ""
            source = f"[{citation.number}] {citation.document}{page}: “{_short(citation.quote, 160)}”"
            self._console.print(f"[cyan]  {escape(source)}[/]", highlight=False)
        first = result.timings.get("first_text")
        parts = [
            " > ".join(result.path),
            f"{result.timings.get('total', 0.0):.1f} s" + (f" (first text {first:.1f} s)" if first else ""),
            f"{result.usage.input_tokens} + {result.usage.output_tokens} tokens"
            + (f", {result.usage.cost:.4g} USD" if result.usage.cost else ""),
        ]
        self._console.print(f"[dim]  {escape(' | '.join(parts))}[/]\n", highlight=False)


def marked(result: Result) -> str:
    """The answer with the numbers of its sources; a structured one as JSON."""
    if not isinstance(result.output, str):
        return msgspec.json.format(msgspec.json.encode(result.output, enc_hook=as_plain)).decode()
    return with_marks(result.output, ((citation.span[1], citation.number) for citation in result.citations))


def _short(text: str, most: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
