"""A TWS or Gateway socket as it answers whoever asks for a contract's details, in the text protocol of its time.

A frame is its length in four bytes, then fields that each end in a zero byte. First comes `API` and the versions that
the client speaks; then its requests, each by its number.
"""

import asyncio
import contextlib
import struct
import threading
import time
from collections import deque
from collections.abc import Sequence

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Wire

HOST = "127.0.0.1"
SERVER_VERSION = 178
LONGEST_FRAME_BYTES = 1024 * 1024
MOST_REMEMBERED = 10_000
START_S = 30.0
NO_DEFINITION = 200
TOO_FAST = 100
ACCOUNT = "DU0000001"

START_API, POSITIONS, DETAILS = 71, 61, 9
ACCOUNTS, NEXT_ID, ERROR, DETAIL, DETAILS_END, POSITIONS_END = 15, 9, 4, 10, 52, 62
_CONID_AT = 3


class Tws:
    """Serves one account's contracts in a thread of its own. `rows` are details by field, each of one conId.

    Faults: `silence` (no answer to a question), `silence@<conId>` (none to this one), `mute` (not even a greeting),
    `too_fast` (the pacing error), `cut` (the connection is closed instead of an answer), `several` (two contracts of
    one id). `asked` remembers the fields of every request, `connections` how many there were.
    """

    name = "ibkr_tws"

    def __init__(self, seed: int | str = 0, *, port: int = 0) -> None:
        dice = chance("tws", seed)
        self.rows: dict[str, list[Wire]] = {"details": [_row(4000 + number) for number in range(dice.randint(5, 15))]}
        self.faults: set[str] = set()
        self.asked: deque[list[str]] = deque(maxlen=MOST_REMEMBERED)
        self.connections = 0
        self.port = port
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def add(self, conid: int, **fields: object) -> Wire:
        """One more contract."""
        row = _row(conid) | fields
        self.rows["details"] = [*self.rows["details"], row]
        return row

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"tcp://{HOST}:{self.port}"

    def start(self) -> None:
        """Serve in a thread. Raises TimeoutError if that does not come to be."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="sim-tws", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            message = "the simulated TWS did not start"
            raise TimeoutError(message)

    def close(self) -> None:
        """End the thread and every connection."""
        if self._loop is not None and self._ended is not None:
            with contextlib.suppress(RuntimeError):  # it has ended before
                self._loop.call_soon_threadsafe(self._ended.set)
        if self._thread is not None:
            self._thread.join(START_S)

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._converse(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await reader.readexactly(len(b"API\0"))
            await _frame(reader)
            if "mute" in self.faults:
                await reader.read()
            writer.write(_packed(SERVER_VERSION, time.strftime("%Y%m%d %H:%M:%S UTC", time.gmtime())))
            while True:
                fields = (await _frame(reader)).decode().split("\0")[:-1]
                self.asked.append(fields)
                if "cut" in self.faults and int(fields[0]) == DETAILS:
                    break
                for told in self._answers(fields):
                    writer.write(told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answers(self, fields: Sequence[str]) -> list[bytes]:
        kind = int(fields[0])
        if kind == START_API:
            return [_packed(ACCOUNTS, 1, ACCOUNT), _packed(NEXT_ID, 1, 1)]
        if kind == POSITIONS:
            return [_packed(POSITIONS_END, 1)]
        request, conid = fields[2], fields[_CONID_AT]
        if kind != DETAILS or {"silence", f"silence@{conid}"} & self.faults:
            return []
        if "too_fast" in self.faults:
            said = "Max rate of messages per second has been exceeded"
            return [_packed(ERROR, 2, request, TOO_FAST, said, "")]
        found = [row for row in self.rows["details"] if str(row["conId"]) == conid]
        if not found:
            said = "No security definition has been found for the request"
            return [_packed(ERROR, 2, request, NO_DEFINITION, said, "")]
        told = found * 2 if "several" in self.faults else found
        return [*(_packed(DETAIL, request, *_detail(row)) for row in told), _packed(DETAILS_END, 1, request)]


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    return await reader.readexactly(min(length, LONGEST_FRAME_BYTES))


def _packed(*fields: object) -> bytes:
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def _detail(row: Wire) -> list[object]:
    """The fields of a contract's details, in the order in which this version writes them."""
    pairs = row["secIdList"]
    contract = [row[name] for name in ("symbol", "secType", "lastTradeDate", "strike", "right", "exchange", "currency")]
    market = [row["localSymbol"], row["marketName"], row["tradingClass"], row["conId"], row["minTick"]]
    orders = [row["multiplier"], "LMT,MKT", f"SMART,{row['exchange']}", 1, row["underConId"], row["longName"]]
    issuer = [row[name] for name in ("primaryExchange", "contractMonth", "industry", "category", "subcategory")]
    hours = ["US/Eastern", "20261120:0400-20261120:2000", "20261120:0930-20261120:1600", "", "0"]
    ids = [len(pairs), *(word for pair in pairs for word in pair)]
    last = [1, "", "", "26,26", "", row["stockType"], "0.0001", "0.0001", "100"]
    return [*contract, *market, *orders, *issuer, *hours, *ids, *last]


def _row(conid: int) -> Wire:
    return {
        "conId": conid,
        "symbol": f"S{conid % 1000:03}",
        "secType": "STK",
        "lastTradeDate": "",
        "strike": "0",
        "right": "",
        "exchange": "SMART",
        "currency": "USD",
        "localSymbol": f"S{conid % 1000:03}",
        "marketName": "NMS",
        "tradingClass": "NMS",
        "minTick": "0.01",
        "multiplier": "",
        "underConId": 0,
        "longName": f"ISSUER {conid % 1000} INC",
        "primaryExchange": "NASDAQ",
        "contractMonth": "",
        "industry": "Technology",
        "category": "Computers",
        "subcategory": "Computers",
        "secIdList": [("ISIN", _isin(conid))],
        "stockType": "COMMON",
    }


def _isin(number: int) -> str:
    """An ISIN with its check digit: letters become two digits, every other digit from the right counts twice."""
    body = f"US{number:09}"
    digits = "".join(str(int(char, 36)) for char in body)
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits))]
    return f"{body}{-sum(value // 10 + value % 10 for value in doubled) % 10}"
