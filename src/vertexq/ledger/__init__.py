"""The ledger: the SQL record of submissions and batches, and the only truth."""

from vertexq.ledger.ledger import Ledger
from vertexq.ledger.values import AuditLine, Claim, Due, NewBatch, OutputRange, Record

__all__ = ["AuditLine", "Claim", "Due", "Ledger", "NewBatch", "OutputRange", "Record"]
