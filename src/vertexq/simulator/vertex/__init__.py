"""The simulated Vertex AI: batch prediction jobs, models, operations."""
