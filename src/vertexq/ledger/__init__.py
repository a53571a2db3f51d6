"""The ledger: the SQL record of submissions and batches, and the only truth."""

from vertexq.bounds import Bounds, Held, HeldBy
from vertexq.ledger.deliveries import Delivery
from vertexq.ledger.ledger import Ledger
from vertexq.ledger.outbox import NewDelivery, OutboxRange
from vertexq.ledger.strays import Stray
from vertexq.ledger.values import AuditLine, Claim, Due, NewBatch, OutputRange, Record

__all__ = [
    "AuditLine",
    "Bounds",
    "Claim",
    "Delivery",
    "Due",
    "Held",
    "HeldBy",
    "Ledger",
    "NewBatch",
    "NewDelivery",
    "OutboxRange",
    "OutputRange",
    "Record",
    "Stray",
]
