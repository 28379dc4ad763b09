"""Requests over real sockets, through a whole gateway, to a vendor that does as each test says."""
