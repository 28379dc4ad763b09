"""Which channel serves a request, in which order, and when to try again. Pure choices: clock and dice are arguments."""
