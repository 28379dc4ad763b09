"""Vendors: who they are (rows), how their URLs and headers are built, what is peculiar to their models.

Everything here is data or a pure function over it. A vendor that needs behaviour names a function in its row; no code
outside this room asks which vendor it serves.
"""
