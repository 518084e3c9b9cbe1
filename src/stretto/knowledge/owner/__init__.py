"""The indexes of a folder belong to one process; the others of the same user reach them through it.

`indexes` are the two legs as the owner has them open; `frames` is what goes over the wire, `address` where
the owner listens; `server` answers there, `client` asks; `role` finds out which of the two this process is,
again whenever the owner has ended; `shared` has both legs in the shape that ingest and search know.
"""
