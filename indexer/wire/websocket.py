"""One WebSocket connection that listens to new heads and logs until it ends. The only place that imports web3.

Nothing of a notice is kept but the moment it came: what is true is read over HTTP. Notices are taken off before
web3 formats and queues them, so an unusual header (Polygon's extra data) or a flood of logs cannot stop it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from web3 import AsyncWeb3, WebSocketProvider
from web3.exceptions import Web3RPCError
from web3.types import LogsSubscriptionArg, RPCResponse

from indexer.errors import NodeUnavailable
from indexer.model import LogFilter

OPEN_S = 10.0
CLOSE_S = 2.0
PING_EVERY_S = 10.0
PONG_S = 10.0
ANSWER_S = 5.0
LARGEST_NOTICE_BYTES = 4 * 1024 * 1024

for _name in ("web3", "websockets"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # they log URLs, and with them keys


class _Listening(WebSocketProvider):
    """A provider that hands every notice to `heard` and everything else to web3."""

    def __init__(self, url: str, heard: Callable[[], None]) -> None:
        super().__init__(
            url,
            websocket_kwargs={
                "open_timeout": OPEN_S,
                "close_timeout": CLOSE_S,
                "ping_interval": PING_EVERY_S,
                "ping_timeout": PONG_S,
                "max_size": LARGEST_NOTICE_BYTES,
                "proxy": None,
            },
            use_text_frames=True,
            request_timeout=ANSWER_S,
            max_connection_retries=1,
        )
        self._heard = heard
        self.ended = asyncio.Event()

    async def socket_recv(self) -> RPCResponse:
        try:
            while True:
                message: Any = await super().socket_recv()
                if not isinstance(message, dict) or message.get("method") != "eth_subscription":
                    return message  # type: ignore[no-any-return]  # whatever the endpoint sent
                self._heard()
        except BaseException:
            self.ended.set()
            raise

    async def hang_up(self) -> None:
        """Close the socket, which web3 leaves open after a message that is no JSON."""
        await self._provider_specific_disconnect()


async def listen(url: str, wanted: LogFilter, heard: Callable[[], None], subscribed: Callable[[], None]) -> None:
    """Subscribe at `url`, call `subscribed` once and `heard` for every notice; returns when the connection ends.

    Raises NodeUnavailable, without the URL, if it cannot be opened or does not offer new heads.
    """
    try:
        await _listen(_Listening(url, heard), wanted, subscribed)
    except Exception as error:  # noqa: BLE001  # of web3, of websockets, of the socket: any of them may show the URL
        raise NodeUnavailable(f"no subscription ({type(error).__name__})") from None


async def _listen(provider: _Listening, wanted: LogFilter, subscribed: Callable[[], None]) -> None:
    try:
        async with AsyncWeb3(provider) as web3:
            await web3.eth.subscribe("newHeads")
            await _subscribe_logs(web3, wanted)
            subscribed()
            await provider.ended.wait()
    finally:
        await provider.hang_up()


async def _subscribe_logs(web3: AsyncWeb3[Any], wanted: LogFilter) -> None:
    """Logs come a little before their head at some endpoints; an endpoint that refuses them still gives heads."""
    if not wanted.addresses:
        return
    asked: LogsSubscriptionArg = {
        "address": [to_checksum_address(address) for address in wanted.addresses],
        "topics": [[HexStr("0x" + topic.hex()) for topic in wanted.topics]],
    }
    with contextlib.suppress(Web3RPCError):
        await web3.eth.subscribe("logs", asked)
