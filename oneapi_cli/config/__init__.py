"""The config: YAML → typed → resolved, strict, with every problem said at once.

`load.load` makes a whole generation for those who serve; `load.locate` finds the ledger for commands that work on it.
A file is never half taken: either everything in it is usable, or the caller gets the list of what is not and keeps
what it had. YAML owns what stands here (channels, prices, server settings, the identity of declared tokens); balances
are the ledger's.
"""
