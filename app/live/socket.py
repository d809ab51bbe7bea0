"""`/ws/v1/live`: one WebSocket a page. The hub fills the viewer; here it is emptied as fast as the client reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, cast

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from app.errors import Busy
from app.live.hub import Hub
from app.live.viewer import Viewer

SEND_WITHIN_S = 5.0  # a viewer that takes nothing for so long is let go
CLOSE_WITHIN_S = 0.5
REASON_MAX = 120  # a close frame has room for 123 bytes
# The page has left, or nobody hears it any more.
GONE = (asyncio.CancelledError, TimeoutError, WebSocketDisconnect, RuntimeError, OSError)
BAD_MESSAGE, NOT_TEXT, TRY_LATER = 1008, 1003, 1013

router = APIRouter()


@router.post("/ws/v1/live", status_code=204, include_in_schema=False)
async def may_connect() -> None:
    """What refuses a WebSocket gives a browser no reason; a page that was refused asks here, and is told."""


@router.websocket("/ws/v1/live")
async def live(socket: WebSocket) -> None:
    hub = cast(Hub, socket.app.state.hub)
    await socket.accept()  # a browser is told the reason of a close, not of a refusal
    try:
        viewer = hub.join(socket.client.host if socket.client else "nowhere")
    except Busy as error:
        return await socket.close(TRY_LATER, error.detail[:REASON_MAX])
    jobs = [asyncio.create_task(_listen(socket, viewer)), asyncio.create_task(_send(socket, hub, viewer))]
    try:
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(viewer)
        for job in jobs:
            job.cancel()
        for ended in await asyncio.gather(*jobs, return_exceptions=True):
            if isinstance(ended, BaseException) and not isinstance(ended, GONE):
                raise ended


async def _listen(socket: WebSocket, viewer: Viewer) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            return await socket.close(NOT_TEXT, "messages are text here")
        try:
            viewer.obey(json.loads(text))
        except (ValueError, RecursionError) as error:
            return await socket.close(BAD_MESSAGE, str(error)[:REASON_MAX])


async def _send(socket: WebSocket, hub: Hub, viewer: Viewer) -> None:
    with contextlib.suppress(TimeoutError):
        await _put(socket, json.dumps(hub.hello()))
        while not viewer.behind:
            await viewer.wake.wait()
            viewer.wake.clear()
            while viewer.events:
                await _put(socket, viewer.events.popleft())
            if text := viewer.take():
                await _put(socket, text)
    async with asyncio.timeout(CLOSE_WITHIN_S):  # one that takes nothing does not take this either
        await socket.close(TRY_LATER, "this viewer does not keep up")


async def _put(socket: WebSocket, text: str) -> Any:
    async with asyncio.timeout(SEND_WITHIN_S):
        await socket.send_text(text)
