"""Celery's settings, each with the reason why it differs from Celery's own default.

What the design asks of Celery is little: carry hints. The ledger holds the work, so a hint that is lost,
doubled or late costs time and nothing else. The settings follow from that. Page numbers of the reasons:
https://docs.celeryq.dev/en/stable/userguide/configuration.html (read 2026-11, Celery 5.7).
"""

from __future__ import annotations

from typing import Any

from vertexq.broker import TRANSPORT_OPTIONS, queues
from vertexq.names import QUEUE_OF, QueueName

DEAD_LETTERS = "vertexq.dead"

# --- what travels

# Whoever can write to Redis could run code through pickle; JSON cannot carry any.
task_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]

# No result backend: results are rows in a store, states are in the ledger, and fan-in is a count in SQL.
# A result per hint would only fill Redis.
task_ignore_result = True
result_backend = None

# A task that fails says so in Flower by its error only; the ledger has the reason.
task_store_errors_even_if_ignored = False

timezone = "UTC"
enable_utc = True

# --- where it goes

# Queues are named once, in vertexq.names. A misspelt one is an error, not a queue that nobody reads.
task_queues = queues()
task_create_missing_queues = False
task_default_queue = QueueName.CONTROL.value
# The anonymous exchange routes by the queue's name alone: there is no binding that a restart could lose.
task_default_exchange = ""
task_routes = {task.value: {"queue": queue.value} for task, queue in QUEUE_OF.items()}

# --- when a message counts as taken

# Early: the message is gone from Redis before the step starts. A lease with a heartbeat and a fencing token
# in the ledger says who works on what, and the sweeper re-sends what a dead worker held, within half a
# minute. With late acknowledgement a step that outlives the visibility timeout would run twice at once, and
# Celery 5.7.0 was seen to end its worker when the broker goes away while messages are unacknowledged.
task_acks_late = False

# One message waiting for each process, and that only while all are busy. Hints for others stay in Redis,
# where an idle worker can take them.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# Delays live in the ledger (next_action_at), never in countdown or eta: there should be none at all.
worker_eta_task_limit = 10

# --- the connection

# Redis away is an ordinary event: try for ever, also at the start, and also when Redis answers with an error
# (out of memory, read-only replica).
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_channel_error_retry = True
broker_connection_timeout = 5
# On Redis this setting ends running tasks and loses their messages; a running step finishes without the
# broker.
worker_cancel_long_running_tasks_on_connection_loss = False
# A hint that cannot be sent now is sent by the sweeper later; waiting for Redis would hold up the step.
task_publish_retry = False
broker_transport_options: dict[str, Any] = {
    **TRANSPORT_OPTIONS,  # key prefix and socket time-outs: what producers and workers must agree on
    # Look for messages of dead workers at every chance. The defaults look at every hundredth: 90 s late.
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # A message that nothing routes is kept for a person to look at, not dropped.
    "deadletter_queue": DEAD_LETTERS,
}

# --- limits

# A step does a bounded piece of work: two minutes at most, then it commits and asks for another hint. A step
# beyond four minutes hangs. Both are far below the visibility timeout (900 s).
task_soft_time_limit = 240
task_time_limit = 300
# Whatever leaks, in our libraries or below, is gone after so many steps or kilobytes (600 MB) of a process.
worker_max_tasks_per_child = 500
worker_max_memory_per_child = 600_000
# A process has 4 s by default to say that it is up; a loaded machine may need longer to import everything.
worker_proc_alive_timeout = 30.0

# --- the end

# SIGTERM is Celery's warm shutdown: no new hints, running steps go on. worker/lifecycle.py interrupts them
# after VERTEXQ_STOP_AFTER_S, so that they let go of their leases and others resume at once. Celery's own
# soft shutdown always sleeps its whole time when a task is running, also when that task ends at once, and
# then kills.
worker_soft_shutdown_timeout = 0.0

# --- to be watched, not to be commanded

# Flower lives on these events; they hold names, ids and states. argsrepr (vertexq.broker) keeps arguments
# to ids.
worker_send_task_events = True
task_send_sent_event = True
# Remote control lets anyone who reaches Redis stop workers or change what they consume. Flower shows
# workers and tasks from events alone; only its buttons and its "config" tabs stay empty.
worker_enable_remote_control = False

# --- logs: config/logs.py

worker_hijack_root_logger = False
worker_redirect_stdouts = False

# --- beat

# One tick every few seconds has no history worth a file; a schedule file can be corrupt, or two can disagree.
beat_scheduler = "celery.beat:Scheduler"
# How long beat sleeps at most; the default (300 s) is also how late it would notice a clock that jumped.
beat_max_loop_interval = 1
