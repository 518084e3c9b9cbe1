"""Documents to passages.

`blocks` finds headings, paragraphs, tables and code; `passages` packs them into chunks whose borders stay
where they are when text elsewhere changes; `identity` names them.
"""
