"""The ledger: one SQLite file that is the log, the receipts, the crash record and the balances.

    book        what the gateway uses: find, reserve, extend, close, adjust, grant, refuse, receipt
    ├── desk, writer        one thread writes; jobs share commits; the loop hears of them
    ├── waiting, settling   who waits for held money; settlements until they are on disk
    └── readers             snapshots off the loop
    holding, closing, grants    the transaction bodies; shared with the CLI, as are
    accounts, declared, recovery, receipts, verify
    upkeep                      what time alone changes: resets (with periods, pure) and
    external                    what programs outside hold and consume
    reports, export, retention  sums and logs; CSV; folding what is old, and backups
    admission, limits           may this be held now: the ladder (pure), and rates
    store, migrations, owners   the file, its tables, and whose process is alive
    prices, cost                what things cost (pure; nothing here reads the ledger)

Decisions. Balances are columns beside the rows that prove them, tested and moved in one transaction, so no cache of a
balance exists. Admission reads versions, rates and balances itself: whatever was cached outside may be stale without
harm. A request's row moves forward once, by a trigger's word; later truth is an adjustment. Money is an integer of a
STRICT table. A period pays for its own requests: what an older one held or is corrected by is given back by a grant
that names the request. `free` is what remains less what this period holds.
"""
