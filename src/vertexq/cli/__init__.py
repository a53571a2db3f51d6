"""The ``vertexq`` command."""
