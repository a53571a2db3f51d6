"""Google on localhost: a real HTTP server that stands in for Vertex AI and Cloud Storage."""
