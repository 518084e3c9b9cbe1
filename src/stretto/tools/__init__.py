"""Tools: functions that a model may call.

`tool` turns a typed function into a `Tool`; `schema` reads its signature and docstring; `execute` runs the
calls of one message side by side; `results` turns what a function returns into parts; `load` finds the
tools in files. Nothing here knows a model, a graph or an agent.
"""

from stretto.tools.tool import Tool, tool

__all__ = ["Tool", "tool"]
