"""Limits shared by all workers: Lua in Redis, server time. ``docs/limits.md`` says what each number means."""
