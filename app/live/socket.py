"""`/ws/v1/live`: one WebSocket a page. The hub fills the viewer; here it is emptied as fast as the client reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, cast

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from app.live.hub import Hub
from app.live.viewer import Viewer

SEND_WITHIN_S = 5.0  # a viewer that takes nothing for so long is let go
MESSAGE_MAX = 16 * 1024
TOO_BIG, BAD_MESSAGE, NOT_TEXT, TOO_SLOW = 1009, 1008, 1003, 1013

router = APIRouter()


@router.websocket("/ws/v1/live")
async def live(socket: WebSocket) -> None:
    hub = cast(Hub, socket.app.state.hub)
    await socket.accept()
    viewer = hub.join()
    sender = asyncio.create_task(_send(socket, hub, viewer))
    try:
        await _listen(socket, viewer, sender)
    except (WebSocketDisconnect, RuntimeError):
        pass  # the page is gone, or the sender has closed
    finally:
        hub.leave(viewer)
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sender


async def _listen(socket: WebSocket, viewer: Viewer, sender: asyncio.Task[None]) -> None:
    while not sender.done():
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            await socket.close(NOT_TEXT, "messages are text here")
            return
        if len(text) > MESSAGE_MAX:
            await socket.close(TOO_BIG, "the message is too long")
            return
        try:
            viewer.obey(json.loads(text))
        except (ValueError, RecursionError) as error:
            await socket.close(BAD_MESSAGE, str(error)[:120])
            return


async def _send(socket: WebSocket, hub: Hub, viewer: Viewer) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        try:
            await _put(socket, json.dumps(hub.hello()))
            while not viewer.behind:
                await viewer.wake.wait()
                viewer.wake.clear()
                while viewer.events:
                    await _put(socket, viewer.events.popleft())
                if text := hub.render(viewer):
                    await _put(socket, text)
        except TimeoutError:
            pass
        await socket.close(TOO_SLOW, "this viewer does not keep up")


async def _put(socket: WebSocket, text: str) -> Any:
    async with asyncio.timeout(SEND_WITHIN_S):
        await socket.send_text(text)
