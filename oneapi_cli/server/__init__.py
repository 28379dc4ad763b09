"""The edge: sockets, HTTP and processes. The only room that imports aiohttp.

`run.py` starts processes, `app.py` builds what one process needs, `routes.py` turns HTTP into an `Ask` and what the
gateway yields into HTTP, `transport.py` reaches the vendors, `errors.py` alone makes an error into an answer.

    generation, reload          one config as requests see it; taking an edited one while they run
    doors, control              the table of paths, and who answers those that are not relayed
    selfservice, billing, consume           for a relay key
    management, token_documents, envelope   for the admin's key, in One API's shapes
    metrics, metrics_door, upkeep           what is counted, and what is done by the clock
"""
