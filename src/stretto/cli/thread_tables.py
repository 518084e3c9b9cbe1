"""What `stretto threads` shows to people. Opens no store."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stretto.cli.output import console, size

if TYPE_CHECKING:
    from rich.table import Table

    from stretto.agent.comparing import ThreadDiff
    from stretto.agent.deploys import Checked
    from stretto.agent.threads import Forked, ThreadRow, ThreadShown

_VERDICTS = {
    "fits": "can be taken up",
    "migrates": "can be taken up, by `migrate`",
    "needs_migrate": "needs `migrate`",
    "nodes_gone": "cannot go on: nodes are gone",
}
_SHOWN = 300


def _table(*columns: str, **options: Any) -> "Table":
    from rich.table import Table  # noqa: PLC0415 (only for people)

    return Table(*columns, **options)


def _print(*what: Any) -> None:
    console().print(*what, markup=False, highlight=False)


def listed(rows: "Sequence[ThreadRow]", total: int) -> None:
    """The threads at a glance."""
    if not rows:
        print("no threads")
        return
    table = _table("thread", "turns", "last used", "waits for", "size")
    for row in rows:
        waits = "; ".join(f"{name}: {_short(asked, 60)}" for name, asked in row.waiting.items())
        state = waits or ("its turn has not ended" if row.unfinished else "")
        table.add_row(_text(row.thread_id), str(row.turns), _when(row.used), _text(state), size(row.bytes))
    _print(table)
    if total > len(rows):
        print(f"{total - len(rows)} more; --limit {total} shows all")


def shown(found: "ThreadShown") -> None:
    """A thread from its first message to its checkpoints."""
    row = found.thread
    print(f"{row.thread_id}: {row.turns} turns, last used {_when(row.used)}, {size(row.bytes)}")
    for message in found.messages:
        print(f"  {_line(message)}")
    for name, asked in row.waiting.items():
        print(f"waits for `{name}`: {_short(asked, _SHOWN)}")
    if found.next:
        print(f"goes on with: {', '.join(found.next)}")
    for key, value in found.state.items():
        if value not in (None, "", [], {}):
            print(f"{key}: {_short(value, _SHOWN)}")
    table = _table("checkpoint", "step", "made by", "graph")
    for each in found.checkpoints:
        table.add_row(each.checkpoint_id, str(each.step), each.source, each.graph)
    _print(table)


def checked(found: "Checked") -> None:
    """What a check before a deploy found."""
    print(f"{found.threads} threads, {found.waiting} wait for an answer, {found.unfinished} have not ended")
    for group in found.groups:
        some = ", ".join(group.some) + (", ..." if group.threads > len(group.some) else "")
        print(f"{group.threads:6}  {_VERDICTS[group.verdict]}" + (f" ({some})" if group.why else ""))
        if group.why:
            print(f"        each {group.why}")


def forked(found: "Forked") -> None:
    """The new thread, and what is its own."""
    print(f"{found.thread_id}: goes on from {found.checkpoint_id} of {found.source}; {found.note}")
    print(f"go on with: --thread {found.thread_id}")


def compared(found: "ThreadDiff") -> None:
    """A diff, line by line."""
    for message in found.removed:
        print(f"- {_line(message)}")
    for message in found.added:
        print(f"+ {_line(message)}")
    for before, after in found.changed:
        print(f"- {_line(before)}\n+ {_line(after)}")
    for key, (one, other) in found.keys.items():
        print(f"{key}: {_short(one, 120)} -> {_short(other, 120)}")
    if not (found.added or found.removed or found.changed or found.keys):
        print("no difference")


def deleted(gone: Sequence[str], missing: Sequence[str]) -> None:
    """What went, and what was not there."""
    print(f"{len(gone)} threads deleted")
    for name in missing:
        print(f"there is no thread {name}")


def _line(message: Any) -> str:
    text = getattr(message, "text", None)
    calls = ", ".join(f"calls {call.name}" for call in getattr(message, "tool_calls", ()) or ())
    said = _short(text if text is not None else message, _SHOWN)
    return f"{getattr(message, 'role', '?')}: {said}{f' ({calls})' if calls else ''}"


def _short(value: Any, most: int) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(text: str) -> Any:
    from rich.text import Text  # noqa: PLC0415 (only for people)

    return Text(text)


def _when(at: float | None) -> str:
    return "unknown" if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
