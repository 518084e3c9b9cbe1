"""Prompts: text files with settings at their head, versioned by content.

`load` reads `<root>/prompts/<name>.md` into a `Prompt`, whose `render` fills in `{{name}}`. There is no
template language: a prompt that needs one is a Python function.
"""

from stretto.prompts.prompt import Prompt, load

__all__ = ["Prompt", "load"]
