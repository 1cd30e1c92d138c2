"""The aiohttp front: REST, WebSocket, page."""
