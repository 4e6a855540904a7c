"""What every WebSocket of ours refuses to put together: floods of frames, and text that is none."""

from __future__ import annotations

import time
from typing import Any

from sanic.server.websockets.frame import WebsocketFrameAssembler
from sanic.server.websockets.impl import WebsocketImplProtocol

MESSAGES_PER_SECOND = 50
#: Fragments and control frames count too, apart from whole messages.
FRAMES_PER_SECOND = 500

WRONG_TEXT, POLICY = 1007, 1008


class StrictAssembler(WebsocketFrameAssembler):
    """Ends connections that flood us with frames or send text that is none, where Sanic would wait or log."""

    def __init__(self, protocol: WebsocketImplProtocol) -> None:
        super().__init__(protocol)
        self._second = 0
        self._frames = 0
        self._messages = 0

    async def put(self, frame: Any) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._frames, self._messages = second, 0, 0
        self._frames += 1
        self._messages += frame.fin and frame.opcode < 8
        if self._frames > FRAMES_PER_SECOND or self._messages > MESSAGES_PER_SECOND:
            self.protocol.fail_connection(POLICY, "too many messages")
            return
        try:
            await super().put(frame)
        except UnicodeDecodeError:
            self.protocol.fail_connection(WRONG_TEXT, "not UTF-8")
