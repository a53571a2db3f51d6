"""The simulated Cloud Storage: the JSON API over objects in a directory."""
