"""Steps of a graph: factories that return an async callable with declared reads and writes.

llm.py       asks a model, runs its tools         vision.py   says what pictures show
retrieve.py  searches a knowledge base            tools.py    runs tool calls
route.py     chooses the way                      node.py     what every node declares
shown.py     what a model is shown                voice.py    what a person sees of a model call
say.py       says a fixed text                    quote.py    puts the source's words below an answer
budgeted.py  holds a model's calls to the run's budgets
approve.py   asks a person                   fitted.py    what of a conversation is sent
compact.py   sums up its older turns         remember.py  notes what a person says of themselves
recall.py    shows the model such notes      cited.py     checks what an answer claims of its sources
rewrite.py   says what to search for
"""

from stretto.nodes.approve import approve
from stretto.nodes.budgeted import affordable
from stretto.nodes.cited import Citing
from stretto.nodes.compact import compact
from stretto.nodes.llm import llm
from stretto.nodes.quote import quote
from stretto.nodes.recall import recall
from stretto.nodes.remember import remember
from stretto.nodes.retrieve import retrieve
from stretto.nodes.rewrite import rewrite
from stretto.nodes.route import Route, ask_model, load_routes, nearest, route, rules
from stretto.nodes.say import say
from stretto.nodes.tools import tools
from stretto.nodes.vision import vision

__all__ = [
    "Citing",
    "Route",
    "affordable",
    "approve",
    "ask_model",
    "compact",
    "llm",
    "load_routes",
    "nearest",
    "quote",
    "recall",
    "remember",
    "retrieve",
    "rewrite",
    "route",
    "rules",
    "say",
    "tools",
    "vision",
]
