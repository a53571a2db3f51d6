"""The names that cross the broker: tasks and queues. A name, once shipped, keeps its meaning."""

from __future__ import annotations

from enum import StrEnum


class TaskName(StrEnum):
    """What a hint asks for. Its arguments are ids, never content."""

    ENQUEUE = "vertexq.enqueue"  # a submission from a producer that cannot reach the ledger
    STAGE = "vertexq.stage"  # submission id
    CREATE = "vertexq.create"  # batch id
    POLL = "vertexq.poll"  # project, location
    ONLINE = "vertexq.online"  # batch id
    INGEST = "vertexq.ingest"  # batch id
    SETTLE = "vertexq.settle"  # submission id
    CANCEL = "vertexq.cancel"  # submission id
    DEADLINE = "vertexq.deadline"  # submission id
    RERUN = "vertexq.rerun"  # submission id: rows without an answer go into new batches
    DELIVER = "vertexq.deliver"  # target: webhook:STORE or task:NAME@QUEUE
    ORDER = "vertexq.order"  # an order to an endpoint, from whoever cannot reach the ledger
    OPERATE = "vertexq.operate"  # operation id: carries out an order to an endpoint
    SWEEP = "vertexq.sweep"  # nothing: finds what is due and sends its hints


class QueueName(StrEnum):
    """Where hints wait; long work and short work never share a queue."""

    CONTROL = "vertexq.control"  # sweep, poll, settle, cancel, deadline, enqueue: short
    STAGE = "vertexq.stage"
    CREATE = "vertexq.create"
    ONLINE = "vertexq.online"  # rows answered one by one: minutes of waiting for models
    INGEST = "vertexq.ingest"
    DELIVER = "vertexq.deliver"  # what others are told; a slow receiver holds up nothing else


QUEUE_OF: dict[TaskName, QueueName] = {
    TaskName.ENQUEUE: QueueName.CONTROL,
    TaskName.STAGE: QueueName.STAGE,
    TaskName.CREATE: QueueName.CREATE,
    TaskName.POLL: QueueName.CONTROL,
    TaskName.ONLINE: QueueName.ONLINE,
    TaskName.INGEST: QueueName.INGEST,
    TaskName.SETTLE: QueueName.CONTROL,
    TaskName.CANCEL: QueueName.CONTROL,
    TaskName.DEADLINE: QueueName.CONTROL,
    TaskName.RERUN: QueueName.STAGE,
    TaskName.DELIVER: QueueName.DELIVER,
    TaskName.ORDER: QueueName.CONTROL,
    TaskName.OPERATE: QueueName.CREATE,
    TaskName.SWEEP: QueueName.CONTROL,
}
