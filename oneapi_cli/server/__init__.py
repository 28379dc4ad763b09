"""The edge: sockets, HTTP and processes. The only room that imports aiohttp.

`run.py` starts processes, `app.py` builds what one process needs, `routes.py` turns HTTP into an `Ask` and what the
gateway yields into HTTP, `transport.py` reaches the vendors, `errors.py` alone makes an error into an answer.
"""
