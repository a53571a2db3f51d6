"""Drives a simulator with google-cloud-aiplatform and prints what the client saw, as JSON.

Run by test_official_vertex_clients.py in an environment of its own, because that package cannot be installed
beside google-genai 3: ``python aiplatform_driver.py URL INPUT_URI OUTPUT_PREFIX``.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

PARENT = "projects/my-project/locations/us-central1"
DEADLINE_S = 20.0

# The package is not in the environment that checks types; taken as Any it does not matter.
Api = Any
aiplatform: Api = importlib.import_module("google.cloud.aiplatform")
gapic: Api = importlib.import_module("google.cloud.aiplatform_v1")
errors: Api = importlib.import_module("google.api_core.exceptions")
credentials: Api = importlib.import_module("google.oauth2.credentials").Credentials(token="fake")


def main(url: str, source: str, output: str) -> dict[str, object]:
    """Create, find, cancel and delete jobs; return what was seen."""
    options = {"api_endpoint": url}
    client = gapic.JobServiceClient(credentials=credentials, transport="rest", client_options=options)
    made = client.create_batch_prediction_job(
        parent=PARENT, batch_prediction_job=a_job("raw", source, output), timeout=DEADLINE_S
    )
    ended = wait_for_end(client, made.name)
    return {
        "created": made.name,
        "created_state": made.state.name,
        "state": ended.state.name,
        "successful": ended.completion_stats.successful_count,
        "directory": ended.output_info.gcs_output_directory,
        "labels": dict(ended.labels),
        "listed": listed(client),
        "high_level": high_level(url, source, output),
        "cancel_of_a_finished_job": refusal(client.cancel_batch_prediction_job, made.name),
        "deleted": deleted(client, made.name),
        "after_delete": refusal(client.get_batch_prediction_job, made.name),
    }


def a_job(name: str, source: str, output: str) -> Api:
    """Return the job to create."""
    return gapic.BatchPredictionJob(
        display_name=name,
        model="publishers/google/models/gemini-2.5-flash",
        labels={"team": "raw"},
        input_config={"instances_format": "jsonl", "gcs_source": {"uris": [source]}},
        output_config={"predictions_format": "jsonl", "gcs_destination": {"output_uri_prefix": output}},
    )


def wait_for_end(client: Api, name: str) -> Api:
    """Return the job when it has ended."""
    over_s = time.monotonic() + DEADLINE_S
    while not (job := client.get_batch_prediction_job(name=name, timeout=DEADLINE_S)).end_time:
        if time.monotonic() > over_s:
            raise TimeoutError(f"{name} is {job.state.name} after {DEADLINE_S} s")
    return job


def listed(client: Api) -> list[list[str]]:
    """Return name and state of the jobs that a filter and a read mask leave."""
    request = {
        "parent": PARENT,
        "filter": 'display_name="raw" AND labels.team=raw',
        "page_size": 1,
        "read_mask": "name,state",
    }
    jobs = client.list_batch_prediction_jobs(request=request, timeout=DEADLINE_S)
    return [[job.name, job.state.name, job.display_name] for job in jobs]


def high_level(url: str, source: str, output: str) -> dict[str, object]:
    """Submit through the classes most people use; return what they say."""
    aiplatform.init(
        project="my-project",
        location="us-central1",
        credentials=credentials,
        api_transport="rest",
        api_endpoint=url,
    )
    submitted = aiplatform.BatchPredictionJob.submit(
        job_display_name="classes",
        model_name="publishers/google/models/gemini-2.5-flash",
        instances_format="jsonl",
        predictions_format="jsonl",
        gcs_source=source,
        gcs_destination_prefix=output,
        labels={"team": "classes"},
    )
    state = wait_for_state(submitted)
    found = aiplatform.BatchPredictionJob.list(filter='display_name="classes"')
    return {"state": state, "listed": [job.resource_name for job in found]}


def wait_for_state(job: Api) -> str:
    """Return the last state of a job of the classes, whose own waiting looks every five seconds."""
    over_s = time.monotonic() + DEADLINE_S
    while (state := job.state.name) in {"JOB_STATE_PENDING", "JOB_STATE_RUNNING"}:
        if time.monotonic() > over_s:
            raise TimeoutError(f"the job is {state} after {DEADLINE_S} s")
    return str(state)


def deleted(client: Api, name: str) -> bool:
    """Delete the job; say whether the operation came to its end."""
    operation = client.delete_batch_prediction_job(name=name, timeout=DEADLINE_S)
    operation.result(timeout=DEADLINE_S)
    return bool(operation.done())


def refusal(call: Api, name: str) -> str:
    """Return the kind of error a call ends with."""
    try:
        call(name=name, timeout=DEADLINE_S)
    except errors.GoogleAPICallError as error:
        return type(error).__name__
    return ""


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
