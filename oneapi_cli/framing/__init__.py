"""Bytes ↔ frames: where one event, member or part ends and the next begins. Incremental, no I/O, no meaning.

Nothing here knows what a chunk says; `dialects/` does. Every splitter gives back exactly the bytes that it was given.
"""
