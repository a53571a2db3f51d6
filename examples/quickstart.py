"""The example of the README: enqueue three prompts, wait, read the answers."""

import vertexq

prompts = [{"key": city, "prompt": f"Name one sight in {city}."} for city in ("Accra", "Bogotá", "Cairo")]

with vertexq.Client() as client:
    submission = client.submit(prompts, model="gemini-2.5-flash", store="results", id="sights-1")
    status = client.wait(submission.id)
    print(status.state, status.counts.succeeded, "rows", status.cost)
    for result in client.results(submission.id):
        print(f"{result.key:8}{result.text!s:.60}…")
