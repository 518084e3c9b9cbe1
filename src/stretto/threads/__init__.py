"""Conversations that are kept.

stores.py     which stores there are, by name   database.py  what they run transactions on
tables.py     all tables of it                  checkpoint/  langgraph savers and the serializer
runs.py       the rows of runs and leases       turns.py     who plays a thread, and who waits
record.py     the events of runs, kept          retention.py how much of them is kept
seal.py       checksums and encryption          deletion.py  every trace of one goes
overview.py   which there are, how large        carried.py   what goes along with a fork
remembered.py what is remembered across threads
journal.py    the steps of a turn, its changes  history.py   a conversation as endpoints accept it
"""

from stretto.threads.retention import Retention

__all__ = ["Retention"]
