"""vertexq: a durable queue for Vertex AI batch prediction."""
