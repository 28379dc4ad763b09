"""Proof by recorded traffic: `make wire`, or `python -m scripts.wire [--quick] [--id X] [--json]`.

The recordings stand beside the checkout (`../shared/wire`) and are read in place; where they are missing there is
nothing to prove. Each is read twice: by readers that share no code with the dialects (`vendor_*.py`, plain JSON), and
by the dialects, whose answer at each door is read by the door's own readers (`doors.py`, the official packages' types
and accumulators). Both readings are a `Said`, and must agree.

recordings.py   the rows, and which dialect each is in
relaying.py     what passes through unchanged: bytes, usage, the input bound
said.py         what a reply says, whatever its format, and where two readings differ
vendor_*.py     recordings → Said
doors.py        what a client got → Said, by the official types
replies.py      every reply × every door, whole and at random cuts
asked.py        requests of every format → what they ask for
models.py       the vendors' own models of a request
requests.py     every request × every other dialect
refusals.py     every error × every door, through the official clients
table.py        counts and failures
"""
