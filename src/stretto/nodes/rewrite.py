"""`rewrite`: has a model say what should be searched for: the question by itself, or taken apart.

"And how long does that take?" finds nothing; "Compare the fees of A and B" is two searches. What the model
says is shown to nobody; when it says nothing of use, the question stays as it was.
"""

from typing import Any

import msgspec

from stretto.context import RunContext
from stretto.messages import Message
from stretto.models.partial import json_in
from stretto.models.protocol import ChatModel, OutputSchema
from stretto.nodes.budgeted import affordable
from stretto.nodes.node import NodeFunction, State, Update, declares, last_turns, question_of
from stretto.nodes.retrieve import MAX_QUERY
from stretto.nodes.voice import replied
from stretto.settings import ModelSettings

INSTRUCTIONS = """\
Write what should be searched for in the documents to answer the last question, in its language.
Each query stands by itself: put names in place of words like "it" or "that". \
{parts}Answer in JSON: {{"queries": ["..."]}}"""
_ONE = "Write one query. "
_SEVERAL = "Write one query; only where the question asks for several things, one for each, at most {most}. "


def rewrite(
    model: ChatModel, *, most: int = 3, turns: int = 3, instructions: str = INSTRUCTIONS
) -> NodeFunction:
    """A node that writes `queries`, which `retrieve` searches for in place of the question.

    Args:
        model: Who rewrites; a small one will do.
        most: How many queries at most; with 1 the question is only made to stand by itself.
        turns: How many turns the model sees, this one included.
        instructions: What it is told; `{parts}` says how many queries.
    """
    told = instructions.format(parts=_ONE if most == 1 else _SEVERAL.format(most=most))
    schema = OutputSchema(
        "queries",
        {
            "type": "object",
            "properties": {"queries": {"type": "array", "items": {"type": "string"}, "maxItems": most}},
            "required": ["queries"],
            "additionalProperties": False,
        },
    )

    @declares(reads=("messages", "question"), writes=("queries",))
    async def ask(state: State, ctx: RunContext) -> Update:
        question = question_of(state)
        asked = [Message.system(told), Message.user(_conversation(state, turns, question))]
        settings = ModelSettings(max_tokens=60 + 60 * most)
        reply = await replied(affordable(model, ctx), asked, ctx, schema=schema, settings=settings)
        return {"queries": _queries(reply.message.text)[:most] or [question]}

    return ask


def _conversation(state: State, turns: int, question: str) -> str:
    """The last turns as text, each message cut to what tells its subject."""
    lines = [
        f"{message.role}: {' '.join(message.text.split())[:MAX_QUERY]}"
        for message in last_turns(state.get("messages") or [], turns)[:-1]
        if message.role in ("user", "assistant") and message.text.strip()
    ]
    return "\n".join([*lines, f"Last question: {question[:MAX_QUERY]}"])


def _queries(text: str) -> list[str]:
    """The queries of an answer, each once; none where it is no JSON of the kind that was asked for."""
    try:
        found: Any = msgspec.json.decode(json_in(text, "{"), type=dict[str, list[str]]).get("queries", [])
    except (msgspec.DecodeError, ValueError):
        return []
    said = (" ".join(query.split())[:MAX_QUERY] for query in found)
    return list(dict.fromkeys(query for query in said if query))
