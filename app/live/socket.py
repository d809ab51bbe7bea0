"""`/ws/v1/live`: one WebSocket per page. It sends what the hub offers as fast as the client reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import cast

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from app.errors import Busy
from app.live.hub import Hub
from app.live.viewer import Viewer

SEND_TIMEOUT_S = 5.0  # a viewer that does not read for longer is disconnected
CLOSE_TIMEOUT_S = 0.5
REASON_MAX = 120  # a close frame has room for 123 bytes
# Errors of a connection that the page, or the lab, has closed.
DISCONNECTED = (asyncio.CancelledError, TimeoutError, WebSocketDisconnect, RuntimeError, OSError)
# Close codes
POLICY_VIOLATION, UNSUPPORTED_DATA, TRY_LATER = 1008, 1003, 1013

router = APIRouter()


@router.post("/ws/v1/live", status_code=204, include_in_schema=False)
async def check_access() -> None:
    """Let a page query why its WebSocket was refused, which browsers do not show: the checks are the same."""


@router.websocket("/ws/v1/live")
async def live(socket: WebSocket) -> None:
    """Serve one viewer until it disconnects or does not keep up."""
    hub = cast(Hub, socket.app.state.hub)
    await socket.accept()  # browsers show the reason of a close, but not of a refused handshake
    try:
        viewer = hub.join(socket.client.host if socket.client else "nowhere")
    except Busy as error:
        return await socket.close(TRY_LATER, error.detail[:REASON_MAX])
    tasks = [
        asyncio.create_task(_receive(socket, viewer)),
        asyncio.create_task(_send(socket, hub, viewer)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(viewer)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, DISCONNECTED):
                raise result


async def _receive(socket: WebSocket, viewer: Viewer) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            return await socket.close(UNSUPPORTED_DATA, "messages must be text")
        try:
            viewer.handle_message(json.loads(text))
        except (ValueError, RecursionError) as error:
            return await socket.close(POLICY_VIOLATION, str(error)[:REASON_MAX])


async def _send(socket: WebSocket, hub: Hub, viewer: Viewer) -> None:
    with contextlib.suppress(TimeoutError):
        await _send_text(socket, json.dumps(hub.hello()))
        while not viewer.is_behind:
            await viewer.wake.wait()
            viewer.wake.clear()
            while viewer.events:
                await _send_text(socket, viewer.events.popleft())
            if text := viewer.take_job():
                await _send_text(socket, text)
            if text := viewer.take_frame():
                await _send_text(socket, text)
    async with asyncio.timeout(CLOSE_TIMEOUT_S):  # a client that does not read does not read this either
        await socket.close(TRY_LATER, "the viewer reads too slowly")


async def _send_text(socket: WebSocket, text: str) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await socket.send_text(text)
