"""The story of a request: who asks, which channel, how much is held, what came back, what it cost.

Decisions that live here:

* `exchange()` is the only function that knows the order of things. Everything it calls either computes or is one of
three
  seams: `Book` (the ledger), `Transport` (the way to vendors) and `Presence` (whether the client is still there).
* A refusal is an exception until the first byte has left, and an event of the client's dialect afterwards.
* A hold is closed exactly once, in `exchange`'s own `finally`, shielded from cancellation.
"""
