"""Google over HTTP: the only place in vertexq that knows aiohttp and google-auth."""
