"""`say`: a node that says a fixed text, for greetings, refusals and for the time when a model is down."""

from stretto.context import RunContext
from stretto.events import TextDelta
from stretto.messages import Message, Text
from stretto.nodes.llm import say_missing
from stretto.nodes.node import NodeFunction, State, Update, declares
from stretto.prompts import Prompt


def say(text: Prompt | str) -> NodeFunction:
    """A node whose answer is `text`, after what had to be done without, if anything."""

    @declares(reads=("missing",), writes=("messages", "output"))
    async def speak(state: State, ctx: RunContext) -> Update:
        words = text.render() if isinstance(text, Prompt) else text
        spoken = say_missing(state.get("missing") or (), ctx) + words
        ctx.emit(TextDelta(text=words, chunks=0))
        return {
            "messages": [Message("assistant", (Text(spoken),), id=f"{ctx.run_id}:{ctx.node}")],
            "output": spoken,
        }

    return speak
