"""oneapi: one gateway for every LLM vendor, with a ledger exact to the nano-dollar."""

__version__ = "0.1.0"
