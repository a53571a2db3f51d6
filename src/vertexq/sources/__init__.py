"""Sources: what rows are read from, bytes into records into rows. ``docs/producing.md`` shows each kind."""
