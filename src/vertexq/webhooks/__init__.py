"""Webhooks by the Standard Webhooks specification: addresses, signatures, the store, and the sender."""
