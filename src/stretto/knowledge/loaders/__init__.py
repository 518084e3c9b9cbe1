"""Files to text.

`registry.load` chooses by suffix or media type; `protocol` says what a loader returns. One module a format:
`text` (plain and Markdown), `html`, `pdf` (with `layout` for the reading order), `picture`.
"""
