"""Claims: leases with a heartbeat and a fencing token, by the database's clock."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_, update

from vertexq.errors import LeaseLost
from vertexq.ledger.base import TABLE_OF, LedgerPart
from vertexq.ledger.times import database_now
from vertexq.ledger.values import Claim, Record


class Claims(LedgerPart):
    """The part of the ledger that says who works on what."""

    def claim(self, record: Record, record_id: str, *, owner: str, lease_s: float) -> Claim | None:
        """Take the lease on a record for ``lease_s`` seconds; None when somebody else holds it.

        Every claim gets a higher fencing token than all before it, also one that follows a crash. A record
        that is not there cannot be claimed: its producer may have rolled back.
        """
        table = TABLE_OF[record]
        with self._writing() as connection:
            now = database_now(connection)
            free = or_(table.c.lease_until.is_(None), table.c.lease_until < now)
            fence = connection.execute(
                update(table)
                .where(table.c.id == record_id, free)
                .values(
                    lease_owner=owner,
                    lease_until=now + timedelta(seconds=lease_s),
                    fence=table.c.fence + 1,
                )
                .returning(table.c.fence)
            ).scalar_one_or_none()
        return None if fence is None else Claim(record=record, id=record_id, owner=owner, fence=fence)

    def renew(self, claim: Claim, *, lease_s: float) -> None:
        """Hold the lease for another ``lease_s`` seconds; raise ``LeaseLost`` when it is not ours any more.

        A lease that ran out is lost even if nobody has taken it yet: its holder may have been asleep.
        """
        table = TABLE_OF[claim.record]
        with self._writing() as connection:
            now = database_now(connection)
            renewed = connection.execute(
                update(table)
                .where(table.c.id == claim.id, table.c.fence == claim.fence, table.c.lease_until >= now)
                .values(lease_until=now + timedelta(seconds=lease_s))
            )
        if renewed.rowcount != 1:
            raise LeaseLost(
                f"{claim.record} {claim.id}: the lease of {claim.owner} ran out or was taken over"
            )

    def release(self, claim: Claim) -> None:
        """Let go of the lease, if it is still ours."""
        table = TABLE_OF[claim.record]
        with self._writing() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == claim.id, table.c.fence == claim.fence)
                .values(lease_owner=None, lease_until=None)
            )
