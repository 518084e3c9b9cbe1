"""Conversations that are kept.

stores.py      which stores there are, by name     database.py   what they run transactions on
tables.py      all tables of it                   checkpoint/   langgraph savers and the serializer
retention.py   how much of them is kept           history.py    a conversation as endpoints accept it
"""

from stretto.threads.retention import Retention

__all__ = ["Retention"]
