"""Limits shared by all workers: Lua in Redis, server time."""
