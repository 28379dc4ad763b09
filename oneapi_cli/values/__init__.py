"""Plain values that every room shares. Nothing here imports anything else of ours, and nothing here does I/O."""
