"""Conversations that are kept.

stores.py    which stores there are, by name       checkpoint/  langgraph savers and the serializer
"""
