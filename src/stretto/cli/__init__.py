"""The command line: `main.py` finds the verb, each verb is a module of its own, loaded when it is used.

A verb module has EXAMPLES, `arguments(parser)` and `run(args) -> int`. Nothing here is for other programs:
what a verb does, the rooms below do.
"""
