"""The ledger's tables, as numbered functions: entry N takes a ledger from `user_version` N to N + 1.

Tables are STRICT, so a float cannot stand in a money column whoever writes it, and an overflowing sum is refused
instead of turning into one. Balances (`granted`, `used`, `held`, `open_holds`) stand beside the rows that prove them;
the triggers keep a request moving forward only: once closed, its state and its money are history, and corrections are
rows of `adjustments`.

`owner_id` is the process that opened a hold; NULL is nobody's (an external hold), which no crash recovery touches.
`admitted` is NULL for refused requests and external holds, so that rate limits walk an index of admitted ones alone,
however many others there are.

`token_past` and `user_past` are the part of a hold that was open when that account's recurring budget last rolled over
(`resets.py`); `held_past` is their sum over open holds. A grant that names a request gives an account back what such a
request cost, so that a period pays for its own requests only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

# "1api" in ASCII: tells a ledger from any other SQLite file.
APPLICATION_ID = 0x31617069

_ACCOUNT_COLUMNS = """
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    version INTEGER NOT NULL DEFAULT 1,
    status INTEGER NOT NULL DEFAULT 1 CHECK (status IN (1, 2)),
    unlimited INTEGER NOT NULL DEFAULT 0 CHECK (unlimited IN (0, 1)),
    granted INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    open_holds INTEGER NOT NULL DEFAULT 0 CHECK (open_holds >= 0),
    budget INTEGER CHECK (budget >= 0),
    budget_period TEXT CHECK (budget_period IN ('day', 'week', 'month')),
    budget_reset REAL,
    last_reset REAL,
    held_past INTEGER NOT NULL DEFAULT 0 CHECK (held_past >= 0),
    expires REAL,
    models TEXT NOT NULL DEFAULT '[]',
    subnets TEXT NOT NULL DEFAULT '[]',
    rpm INTEGER CHECK (rpm > 0),
    tpm INTEGER CHECK (tpm > 0),
    concurrent INTEGER CHECK (concurrent > 0),
    clamp INTEGER CHECK (clamp IN (0, 1)),
    holds TEXT NOT NULL DEFAULT 'auto' CHECK (holds IN ('auto', 'worst_case', 'rolling')),
    passthrough INTEGER NOT NULL DEFAULT 0 CHECK (passthrough IN (0, 1)),
    created REAL NOT NULL,
    updated REAL NOT NULL,
    removed REAL,
"""

_REQUESTS = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE CHECK (length(request_id) BETWEEN 1 AND 200),
    state TEXT NOT NULL CHECK (state IN ('held', 'settled', 'released', 'kept', 'refused')),
    token_id INTEGER NOT NULL REFERENCES tokens (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    owner_id INTEGER REFERENCES owners (id),
    door TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    stream INTEGER NOT NULL CHECK (stream IN (0, 1)),
    peer TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL,
    admitted REAL,
    waited REAL NOT NULL DEFAULT 0,
    hold_nanos INTEGER NOT NULL DEFAULT 0 CHECK (hold_nanos >= 0),
    fixed_nanos INTEGER NOT NULL DEFAULT 0 CHECK (fixed_nanos >= 0),
    token_past INTEGER NOT NULL DEFAULT 0 CHECK (token_past BETWEEN 0 AND hold_nanos),
    user_past INTEGER NOT NULL DEFAULT 0 CHECK (user_past BETWEEN 0 AND hold_nanos),
    tokens INTEGER NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    asked INTEGER NOT NULL DEFAULT 0,
    output_limit INTEGER NOT NULL DEFAULT 0,
    bounded INTEGER NOT NULL DEFAULT 1 CHECK (bounded IN (0, 1)),
    cost_nanos INTEGER NOT NULL DEFAULT 0 CHECK (cost_nanos >= 0),
    input_tokens INTEGER,
    output_tokens INTEGER,
    status INTEGER,
    channel TEXT NOT NULL DEFAULT '',
    model_sent TEXT NOT NULL DEFAULT '',
    price_origin TEXT NOT NULL DEFAULT '',
    usage TEXT,
    lines TEXT NOT NULL DEFAULT '[]',
    notes TEXT NOT NULL DEFAULT '[]',
    code TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    details TEXT NOT NULL DEFAULT '{}',
    first_byte REAL,
    closed REAL,
    CHECK ((state = 'held') = (closed IS NULL)),
    CHECK (cost_nanos = 0 OR state IN ('settled', 'kept')),
    CHECK (state <> 'refused' OR (hold_nanos = 0 AND owner_id IS NULL AND admitted IS NULL))
) STRICT
"""

_ONE_ACCOUNT = """
    token_id INTEGER REFERENCES tokens (id),
    user_id INTEGER REFERENCES users (id),
    CHECK ((token_id IS NULL) <> (user_id IS NULL))
"""

_FIRST = (
    f"CREATE TABLE users ({_ACCOUNT_COLUMNS}"
    """
    admin INTEGER NOT NULL DEFAULT 0 CHECK (admin IN (0, 1)),
    groups TEXT NOT NULL DEFAULT '[]',
    multiplier TEXT NOT NULL DEFAULT '1'
    ) STRICT""",
    f"CREATE TABLE tokens ({_ACCOUNT_COLUMNS}"
    """
    user_id INTEGER NOT NULL REFERENCES users (id),
    key_sha256 BLOB UNIQUE CHECK (length(key_sha256) = 32),
    hint TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL DEFAULT 'cli' CHECK (source IN ('cli', 'declared')),
    declared_at TEXT NOT NULL DEFAULT '',
    absent INTEGER NOT NULL DEFAULT 0 CHECK (absent IN (0, 1))
    ) STRICT""",
    # A removed account's name is free again; its rows stay.
    "CREATE UNIQUE INDEX live_user_names ON users (name) WHERE removed IS NULL",
    "CREATE UNIQUE INDEX live_token_names ON tokens (name) WHERE removed IS NULL",
    "CREATE INDEX tokens_of_user ON tokens (user_id)",
    "CREATE INDEX recurring_users ON users (budget_reset) WHERE budget_period IS NOT NULL",
    "CREATE INDEX recurring_tokens ON tokens (budget_reset) WHERE budget_period IS NOT NULL",
    "CREATE TABLE owners (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, pid INTEGER NOT NULL, "
    "started REAL NOT NULL, ended REAL) STRICT",
    _REQUESTS,
    "CREATE INDEX admitted_of_token ON requests (token_id, admitted)",
    "CREATE INDEX admitted_of_user ON requests (user_id, admitted)",
    # What reports, retention and one token's own log walk; `created` never changes, so neither does an entry.
    "CREATE INDEX created_of_token ON requests (token_id, created)",
    "CREATE INDEX open_holds ON requests (owner_id) WHERE state = 'held'",
    "CREATE INDEX kept_requests ON requests (id) WHERE state = 'kept'",
    """CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    vendor TEXT NOT NULL,
    model_sent TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL NOT NULL,
    status INTEGER,
    outcome TEXT NOT NULL,
    charged_nanos INTEGER NOT NULL DEFAULT 0,
    detail TEXT NOT NULL DEFAULT '',
    upstream_id TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX attempts_of_request ON attempts (request)",
    """CREATE TABLE extensions (
    id INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    nanos INTEGER NOT NULL CHECK (nanos > 0),
    created REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX extensions_of_request ON extensions (request)",
    """CREATE TABLE adjustments (
    id INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    delta_nanos INTEGER NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    usage TEXT,
    created REAL NOT NULL,
    token_past INTEGER NOT NULL DEFAULT 0,
    user_past INTEGER NOT NULL DEFAULT 0,
    CHECK (token_past IN (0, delta_nanos) AND user_past IN (0, delta_nanos))
    ) STRICT""",
    "CREATE INDEX adjustments_of_request ON adjustments (request)",
    f"""CREATE TABLE grants (
    id INTEGER PRIMARY KEY,
    delta_nanos INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('budget', 'add', 'set', 'reset')),
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    created REAL NOT NULL,
    request INTEGER REFERENCES requests (id),
    {_ONE_ACCOUNT},
    CHECK (request IS NULL OR kind = 'reset')
    ) STRICT""",
    "CREATE INDEX grants_of_request ON grants (request) WHERE request IS NOT NULL",
    "CREATE INDEX grants_of_token ON grants (token_id) WHERE token_id IS NOT NULL",
    "CREATE INDEX grants_of_user ON grants (user_id) WHERE user_id IS NOT NULL",
    """CREATE TABLE externals (
    request INTEGER PRIMARY KEY REFERENCES requests (id) ON DELETE CASCADE,
    token_id INTEGER NOT NULL REFERENCES tokens (id),
    transaction_id TEXT NOT NULL CHECK (length(transaction_id) BETWEEN 1 AND 128),
    expires REAL NOT NULL,
    auto_confirmed INTEGER NOT NULL DEFAULT 0 CHECK (auto_confirmed IN (0, 1)),
    elapsed_ms INTEGER,
    UNIQUE (token_id, transaction_id)
    ) STRICT""",
    "CREATE INDEX externals_of_token ON externals (token_id)",
    f"""CREATE TABLE carried (
    id INTEGER PRIMARY KEY,
    granted INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    through REAL NOT NULL,
    {_ONE_ACCOUNT}
    ) STRICT""",
    "CREATE UNIQUE INDEX carried_of_token ON carried (token_id) WHERE token_id IS NOT NULL",
    "CREATE UNIQUE INDEX carried_of_user ON carried (user_id) WHERE user_id IS NOT NULL",
    """CREATE TRIGGER requests_move_forward
    BEFORE UPDATE OF state, cost_nanos, hold_nanos, token_past, user_past ON requests WHEN OLD.state <> 'held'
    BEGIN SELECT RAISE(ABORT, 'a closed request does not change'); END""",
    """CREATE TRIGGER held_never_becomes_refused
    BEFORE UPDATE OF state ON requests WHEN OLD.state = 'held' AND NEW.state = 'refused'
    BEGIN SELECT RAISE(ABORT, 'a held request is settled, released or kept'); END""",
)


def _first_tables(db: sqlite3.Connection, now: float) -> None:
    for statement in _FIRST:
        db.execute(statement)
    db.execute(
        "INSERT INTO users (id, name, unlimited, admin, created, updated) VALUES (1, 'root', 1, 1, ?, ?)", (now, now)
    )
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _stored_responses(db: sqlite3.Connection, now: float) -> None:
    """Who made which response that a vendor keeps (`stored.py`)."""
    db.execute(
        """CREATE TABLE responses (
    response_id TEXT PRIMARY KEY CHECK (length(response_id) BETWEEN 1 AND 200),
    request INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users (id),
    channel TEXT NOT NULL,
    model TEXT NOT NULL,
    created REAL NOT NULL
    ) STRICT"""
    )
    db.execute("CREATE INDEX responses_of_request ON responses (request)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection, float], None], ...] = (_first_tables, _stored_responses)
LATEST = len(MIGRATIONS)


def version_of(db: sqlite3.Connection) -> int:
    """How many migrations a file has seen; 0 for an empty one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection, now: float) -> int:
    """Run what is missing, inside the caller's transaction. Returns how many migrations ran."""
    current = version_of(db)
    for step in MIGRATIONS[current:]:
        step(db, now)
    # PRAGMA takes no parameters; LATEST is ours.
    db.execute(f"PRAGMA user_version = {LATEST}")
    return LATEST - current
