"""One real EVM node: an anvil process of its own, spoken to over JSON-RPC.

`scripts/chainlab` installs the binary into .chainlab of the checkout. Quantities are ints, bytes are bytes; hex
exists only inside this module's requests. The process dies with its parent (on Linux by the kernel's hand).
"""

import ctypes
import json
import os
import platform
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import pytest
import urllib3

LAB = Path(__file__).parents[2] / ".chainlab"
PACKAGES = LAB / "node_modules"
START_S = 30.0
STOP_S = 10.0
CALL_S = 120.0
BLOCK_GAS = 3_000_000_000
GAS_EACH = 25_000_000
SENT_AT_ONCE = 100
MOST_RECEIPT_LOOKS = 2_000
LOOK_S = 0.005

_LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)")
_PR_SET_PDEATHSIG = 1


class Refused(Exception):
    """The node answered with an error. `code` and `data` as the node gave them."""

    def __init__(self, method: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"{method}: {error.get('message')}")
        self.code: int | None = error.get("code")
        self.data: object = error.get("data")


class NotInstalled(Exception):
    """There is no anvil here that runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx:
    """A transaction to be sent from the first account. `to` None deploys `data`."""

    to: bytes | None
    data: bytes
    gas: int = GAS_EACH

    def request(self, sender: str, nonce: int | None = None) -> dict[str, str]:
        """As eth_sendTransaction takes it. Batches need a nonce, or the node hands out one number twice."""
        fields = {"from": sender, "data": hexed(self.data), "gas": hex(self.gas)}
        if self.to is not None:
            fields["to"] = hexed(self.to)
        if nonce is not None:
            fields["nonce"] = hex(nonce)
        return fields


def hexed(value: bytes) -> str:
    """With 0x."""
    return "0x" + value.hex()


def unhexed(text: str) -> bytes:
    """Of text with 0x."""
    return bytes.fromhex(text[2:])


def binary() -> Path:
    """The anvil of this platform. Raises NotInstalled with what to do about it."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    path = PACKAGES / f"@foundry-rs/anvil-{system}-{machine}" / "bin" / "anvil"
    wanted = Path(__file__).with_name("package.json").read_bytes()
    stamp = LAB / "installed.json"
    if not path.exists() or not stamp.exists() or stamp.read_bytes() != wanted:
        raise NotInstalled("no anvil, or not these versions; run scripts/chainlab (it needs npm)")
    return path


def required() -> None:
    """Skip the test where there is no anvil; in CI that is a failure."""
    try:
        binary()
    except NotInstalled as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


class Anvil:
    """A running node. Blocks are made by transactions (automine) until `automine(on=False)` says otherwise.

    `safe` is the head minus `slots`, `finalized` the head minus twice `slots`. `port` 0: any that is free.
    `gas_limit` is of a block, and of a call that names none.
    """

    def __init__(
        self, chain_id: int, *, slots: int = 1, port: int = 0, gas_limit: int = BLOCK_GAS, args: Sequence[str] = ()
    ) -> None:
        self.chain_id = chain_id
        self._output: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- lives as long as the process
        command = [str(binary()), "--port", str(port), "--chain-id", str(chain_id), "--slots-in-an-epoch", str(slots)]
        self._process = subprocess.Popen(
            [*command, "--gas-limit", str(gas_limit), *args],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 -- one prctl, no locks taken
        )
        try:
            self.port = self._listening()
        except BaseException:
            self._end()
            raise
        self._http = urllib3.HTTPConnectionPool("127.0.0.1", self.port, maxsize=4, retries=False, timeout=CALL_S)
        self._sender: str = self.call("eth_accounts")[0]
        self.call("anvil_setLoggingEnabled", False)

    @property
    def url(self) -> str:
        """For HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """For WebSocket."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def sender(self) -> bytes:
        """The first account, which sends everything."""
        return unhexed(self._sender)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process. May be called twice."""
        self._http.close()
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_S)
        self._output.close()

    def _listening(self) -> int:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            said = self._said()
            if found := _LISTENING.search(said):
                return int(found[1])
            if self._process.poll() is not None:
                raise NotInstalled(f"anvil ended at once: {said[-500:]}")
            time.sleep(LOOK_S)
        raise TimeoutError(f"anvil is not up after {START_S} s")

    def _said(self) -> str:
        # The child shares this file's position, which pread leaves alone.
        return os.pread(self._output.fileno(), 100_000, 0).decode(errors="replace")

    def post(self, body: bytes) -> bytes:
        """Raw JSON-RPC: a body in, a body out."""
        return self._http.request("POST", "/", body=body, headers={"content-type": "application/json"}).data

    def call(self, method: str, *params: object) -> Any:
        """One request. Raises Refused."""
        (reply,) = self.batch([(method, params)])
        return reply

    def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Many requests in one, answers in the order of the calls. Raises Refused at the first error."""
        asked = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in enumerate(calls)
        ]
        replies = {reply["id"]: reply for reply in json.loads(self.post(json.dumps(asked).encode()))}
        for number, (method, _) in enumerate(calls):
            if "error" in replies[number]:
                raise Refused(method, replies[number]["error"])
        return [replies[number]["result"] for number in range(len(calls))]

    def head(self) -> int:
        """The latest block's number."""
        return int(self.call("eth_blockNumber"), 16)

    def block_hash(self, number: int | str) -> bytes:
        """Of a number or tag."""
        return unhexed(self.call("eth_getBlockByNumber", _at(number), False)["hash"])

    def code(self, address: bytes) -> bytes:
        """The code at an address, empty where there is none."""
        return unhexed(self.call("eth_getCode", hexed(address), "latest"))

    def read(self, to: bytes, data: bytes, *, gas: int | None = None) -> bytes:
        """eth_call at the latest block. Raises Refused where it reverts."""
        request = {"to": hexed(to), "data": hexed(data)} | ({} if gas is None else {"gas": hex(gas)})
        return unhexed(self.call("eth_call", request, "latest"))

    def read_many(self, calls: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Many eth_calls of (to, data) in one request."""
        asked = [("eth_call", ({"to": hexed(to), "data": hexed(data)}, "latest")) for to, data in calls]
        return [unhexed(text) for text in self.batch(asked)] if asked else []

    def logs(self, address: bytes, topic0: bytes, first: int = 0, last: int | str = "latest") -> list[dict[str, Any]]:
        """The node's own logs of one address and topic."""
        wanted = {"address": hexed(address), "topics": [hexed(topic0)], "fromBlock": _at(first), "toBlock": _at(last)}
        told: list[dict[str, Any]] = self.call("eth_getLogs", wanted)
        return told

    def automine(self, *, on: bool) -> None:
        """Whether every transaction makes a block at once."""
        self.call("evm_setAutomine", on)

    def mine(self, blocks: int = 1) -> int:
        """Make blocks of whatever is waiting. Returns the new head."""
        self.call("anvil_mine", hex(blocks))
        return self.head()

    def reorg(self, depth: int, txs: Sequence[tuple[Tx, int]] = ()) -> int:
        """Replace the last `depth` blocks; what they held is gone. Returns the head's number, which stays the same.

        `txs`: what the new blocks hold, each with the index of its block (0 is the lowest new one).
        """
        self.call("anvil_reorg", depth, [[tx.request(self._sender), at] for tx, at in txs])
        return self.head()

    def send(self, tx: Tx) -> dict[str, Any]:
        """Send one and wait for its receipt (automine must be on). Raises AssertionError where it reverted."""
        return self._receipts([self.call("eth_sendTransaction", tx.request(self._sender))])[0]

    def send_many(self, txs: Sequence[Tx]) -> list[dict[str, Any]]:
        """Send many, SENT_AT_ONCE a block, in their order. Automine is on afterwards. Raises as `send` does."""
        receipts: list[dict[str, Any]] = []
        self.automine(on=False)
        try:
            for start in range(0, len(txs), SENT_AT_ONCE):
                nonce = int(self.call("eth_getTransactionCount", self._sender, "latest"), 16)
                chunk = enumerate(txs[start : start + SENT_AT_ONCE], nonce)
                sent = [("eth_sendTransaction", (tx.request(self._sender, number),)) for number, tx in chunk]
                hashes = self.batch(sent)
                self.mine()
                receipts += self._receipts(hashes)
        finally:
            self.automine(on=True)
        return receipts

    def _receipts(self, hashes: Sequence[str]) -> list[dict[str, Any]]:
        for _ in range(MOST_RECEIPT_LOOKS):
            receipts = self.batch([("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in hashes])
            if all(receipts):
                break
            time.sleep(LOOK_S)
        failed = [receipt for receipt in receipts if receipt is None or receipt["status"] != "0x1"]
        assert not failed, f"{len(failed)} of {len(hashes)} transactions failed or vanished, the first: {failed[0]}"
        return receipts


def _at(block: int | str) -> str:
    return hex(block) if isinstance(block, int) else block


def _die_with_parent() -> None:
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
