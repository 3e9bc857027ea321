"""Simulated lists of coins: Coinbase Exchange's currencies with their networks, and CoinGecko's coins."""

from collections.abc import Mapping
from http import HTTPStatus

from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

CURRENCIES, COINS = "/currencies", "/api/v3/coins/list"


class CoinLists:
    """`rows` under `currency` and `coin`. Faults of its own: `empty`, and `error`, an object where a list should be."""

    name = "coins"

    def __init__(self, contracts: Mapping[str, Mapping[str, str]]) -> None:
        """`contracts`: by code, the contract on each network; empty where the code is the network's own currency."""
        self.faults: set[str] = set()
        self.rows: dict[str, list[Wire]] = {
            "currency": [_fiat("USD"), *(_currency(code, networks) for code, networks in contracts.items())],
            "coin": [_coin(code, networks) for code, networks in contracts.items()],
        }

    def answer(self, asked: Asked) -> Told:
        """One of the two lists, whole; platforms only where they are asked for."""
        scope = {CURRENCIES: "currency", COINS: "coin"}.get(asked.path)
        if scope is None:
            return json({"message": "NotFound"}, HTTPStatus.NOT_FOUND)
        if struck(self.faults, "error", asked):
            return json({"status": {"error_code": 1}})
        rows = [] if struck(self.faults, "empty", asked) else self.rows[scope]
        if scope == "coin" and asked.query.get("include_platform") != "true":
            rows = [{key: value for key, value in row.items() if key != "platforms"} for row in rows]
        return json(rows)


def _currency(code: str, networks: Mapping[str, str]) -> Wire:
    first = next(iter(networks), "")
    return {
        "id": code,
        "name": f"{code.title()} Coin",
        "min_size": "0.00000001",
        "status": "online",
        "message": "",
        "max_precision": "0.00000001",
        "convertible_to": [],
        "details": {"type": "crypto", "symbol": None, "network_confirmations": 14, "sort_order": 0},
        "default_network": first,
        "supported_networks": [
            {
                "id": network,
                "name": network.title(),
                "status": "online",
                "contract_address": contract,
                "crypto_address_link": "",
                "crypto_transaction_link": "",
                "min_withdrawal_amount": 0.001,
                "max_withdrawal_amount": 1000,
                "network_confirmations": 14,
                "processing_time_seconds": None,
            }
            for network, contract in networks.items()
        ],
        "display_name": code,
    }


def _fiat(code: str) -> Wire:
    return _currency(code, {}) | {"details": {"type": "fiat", "symbol": "$"}, "default_network": ""}


def _coin(code: str, networks: Mapping[str, str]) -> Wire:
    platforms = {network: contract for network, contract in networks.items() if contract}
    return {
        "id": f"{code.lower()}-coin",
        "symbol": code.lower(),
        "name": f"{code.title()} Coin",
        "platforms": platforms or {"": ""},
    }
