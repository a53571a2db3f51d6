"""Operations in the ledger: one order a record, moved by compare-and-set, handed to one sweeper at a time."""

from __future__ import annotations

import pytest

from tests.contract.racing import at_once
from vertexq.endpoint_orders import checked, with_model_id
from vertexq.endpoints import OPERATION_MOVES, EndpointOrder, OperationKind, OperationState, Resources
from vertexq.errors import Conflict, IdConflict, LeaseLost, UnknownOperation
from vertexq.ledger import Claim, Ledger, Record

S = OperationState
DEPLOY = checked(
    EndpointOrder(
        kind=OperationKind.DEPLOY,
        endpoint="projects/p/locations/us-central1/endpoints/shop",
        model="17",
        resources=Resources(machine_type="n1-standard-4", max_replicas=2),
        traffic={"0": 100},
    )
)


def claimed(ledger: Ledger, operation_id: str = "o-1") -> Claim:
    """Write an order down and take its lease."""
    ledger.order(operation_id, with_model_id(DEPLOY, operation_id), actor="test")
    claim = ledger.claim(Record.OPERATION, operation_id, owner="me", lease_s=60)
    assert claim is not None
    return claim


def test_an_order_comes_back_as_it_was_written(ledger: Ledger) -> None:
    """With its place, and the id that was chosen for the model."""
    order = with_model_id(DEPLOY, "o-1")

    operation, is_new = ledger.order("o-1", order, actor="test")

    assert (is_new, operation.order, operation.state) == (True, order, S.QUEUED)
    assert operation.name == "projects/p/locations/us-central1/endpoints/shop"
    assert len(operation.deployed_model_id) == 10
    assert ledger.operation("o-1") == operation
    assert ledger.operations(endpoint="shop") == [operation]
    assert ledger.operations(states=[S.DONE]) == []
    assert [line.to_state for line in ledger.audit(Record.OPERATION, "o-1")] == ["queued"]


def test_an_id_is_one_order(ledger: Ledger) -> None:
    """The same again is the one that is there; another is a conflict; an unknown one is said to be."""
    first, _ = ledger.order("o-1", DEPLOY, actor="test")

    assert ledger.order("o-1", DEPLOY, actor="test") == (first, False)
    with pytest.raises(IdConflict):
        ledger.order("o-1", with_model_id(DEPLOY, "o-2"), actor="test")
    with pytest.raises(UnknownOperation):
        ledger.operation("o-2")


def test_a_move_is_a_compare_and_set(ledger: Ledger) -> None:
    """An old version and a lost lease change nothing."""
    claim = claimed(ledger)
    before = ledger.operation("o-1")
    after = ledger.move_operation(before, S.SENDING, claim=claim, call="deploy")
    with pytest.raises(Conflict):
        ledger.move_operation(before, S.FAILED, claim=claim)
    ledger.release(claim)
    ledger.claim(Record.OPERATION, "o-1", owner="other", lease_s=60)
    with pytest.raises(LeaseLost):
        ledger.update_operation(after, claim=claim, stage="x")

    assert ledger.operation("o-1").state is S.SENDING


def test_no_move_leaves_the_table(ledger: Ledger) -> None:
    """What has ended stays so and waits for nothing."""
    claim = claimed(ledger)
    done = ledger.move_operation(ledger.operation("o-1"), S.DONE, claim=claim, reason="there")

    assert (done.next_action_at, done.finished_at is not None) == (None, True)
    for state in OperationState:
        with pytest.raises(ValueError, match="cannot become"):
            ledger.move_operation(done, state, claim=claim)
    assert set(OPERATION_MOVES) == set(OperationState)


def test_what_is_due_is_handed_out_once(ledger: Ledger) -> None:
    """A hint is not sent again at once, nor for what somebody has in hand or what has ended."""
    ledger.order("o-1", DEPLOY, actor="test")
    first = ledger.due_operations(limit=10, resend_after_s=60)
    claim = claimed(ledger, "o-2")

    assert first == ["o-1"]
    assert ledger.due_operations(limit=10, resend_after_s=60) == []
    assert ledger.due_operations(limit=10, resend_after_s=0) == ["o-1"]
    ledger.move_operation(ledger.operation("o-2"), S.DONE, claim=claim)
    ledger.release(claim)
    assert ledger.due_operations(limit=10, resend_after_s=0) == ["o-1"]


def test_sweepers_at_once_get_different_operations(ledger: Ledger) -> None:
    """Four of them share what is due; nobody gets what another got."""
    for number in range(40):
        ledger.order(f"o-{number}", DEPLOY, actor="test")

    shares = at_once(4, lambda _: ledger.due_operations(limit=15, resend_after_s=60))

    shares.append(ledger.due_operations(limit=40, resend_after_s=60))
    handed_out = [one for share in shares for one in share]
    assert sorted(handed_out) == sorted(f"o-{number}" for number in range(40))
