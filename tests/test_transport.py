"""Bytes over a real socket: whatever the other side does, it ends in time, as one of our errors, without the URL."""

import gzip
import http.server
import logging
import os
import socket
import threading
import time
import traceback

import orjson
import pytest

from indexer.errors import (
    AnswerTooLarge,
    BadSetting,
    GazetteerError,
    NodeUnavailable,
    RateLimited,
    Retryable,
    TimedOut,
)
from indexer.wire.node import HttpNode
from indexer.wire.redact import public_name, public_names, redacted
from indexer.wire.transport import HttpTransport

KEY = "c4naryK3y0123456789abcdef"
ANSWER = b'{"jsonrpc":"2.0","id":1,"result":"0x1"}'
REFUSAL = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # the name is the standard library's
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers, body, self.client_address))
        self.server.act(self)

    def answer(self, status=200, body=ANSWER, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    server.handle_error = lambda *_: None
    server.requests, server.act, server.over = [], Handler.answer, threading.Event()
    server.url = f"http://user:{KEY}@127.0.0.1:{server.server_port}/v3/{KEY}?apikey={KEY}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def transport(server):
    transport = HttpTransport(server.url, largest_bytes=100_000)
    yield transport
    transport.close()


def test_a_body_goes_there_and_an_answer_comes_back_over_one_connection(transport, server):
    assert [transport(b"[1]", 5.0) for _ in range(3)] == [ANSWER] * 3
    path, headers, body, _ = server.requests[0]
    assert path == f"/v3/{KEY}?apikey={KEY}"
    assert headers["Content-Type"] == "application/json"
    assert body == b"[1]"
    assert len({request[3] for request in server.requests}) == 1


def test_user_and_password_of_the_url_are_sent_as_such(transport, server):
    transport(b"[1]", 5.0)
    assert server.requests[0][1]["Authorization"].startswith("Basic ")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python 3.12: the server is a thread
def test_a_forked_child_opens_a_connection_of_its_own(transport, server):
    transport(b"[1]", 5.0)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if transport(b"[2]", 5.0) == ANSWER else 1)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    transport(b"[3]", 5.0)
    first, second, third = (request[3] for request in server.requests)
    assert first == third != second


def test_a_compressed_answer_is_read(transport, server):
    server.act = lambda to: to.answer(body=gzip.compress(ANSWER * 100), Content_Encoding="gzip")
    assert transport(b"[1]", 5.0) == ANSWER * 100


def test_a_chunked_answer_is_read(transport, server):
    def act(to):
        to.send_response(200)
        to.send_header("Transfer-Encoding", "chunked")
        to.end_headers()
        for part in (ANSWER[:10], ANSWER[10:]):
            to.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        to.wfile.write(b"0\r\n\r\n")

    server.act = act
    assert transport(b"[1]", 5.0) == ANSWER


def cut(to):
    to.send_response(200)
    to.send_header("Content-Length", "1000")
    to.end_headers()
    to.wfile.write(ANSWER)
    to.close_connection = True


def cut_chunks(to):
    to.send_response(200)
    to.send_header("Transfer-Encoding", "chunked")
    to.end_headers()
    to.wfile.write(b"ff\r\n{")
    to.close_connection = True


def slam(to):
    to.close_connection = True
    to.connection.shutdown(socket.SHUT_RDWR)


def hang(to):
    to.server.over.wait(20)


def drip(to):
    to.send_response(200)
    to.send_header("Content-Length", "1000")
    to.end_headers()
    while not to.server.over.wait(0.05):
        to.wfile.write(b" ")


def bomb(to):
    to.answer(body=gzip.compress(b"0" * 50_000_000), Content_Encoding="gzip")


def redirect(to):
    to.answer(302, b"", Location=f"http://127.0.0.1:{to.server.server_port}/elsewhere/{KEY}")


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (cut, NodeUnavailable),
        (cut_chunks, NodeUnavailable),
        (slam, NodeUnavailable),
        (hang, TimedOut),
        (drip, TimedOut),
        (bomb, AnswerTooLarge),
        (redirect, NodeUnavailable),
        (lambda to: to.answer(body=b"x" * 100_001), AnswerTooLarge),
        (lambda to: to.answer(body=b"nonsense", Content_Encoding="gzip"), NodeUnavailable),
        (lambda to: to.wfile.write(b"\x00\x01 nonsense\r\n\r\n"), NodeUnavailable),
        (lambda to: to.answer(500, REFUSAL), NodeUnavailable),
        (lambda to: to.answer(502, KEY.encode()), NodeUnavailable),
        (lambda to: to.answer(504), TimedOut),
        (lambda to: to.answer(413, b""), AnswerTooLarge),
        (lambda to: to.answer(403, f"key {KEY} is disabled".encode()), NodeUnavailable),
        (lambda to: to.answer(404, b""), NodeUnavailable),
        (lambda to: to.answer(429, REFUSAL), RateLimited),
    ],
)
def test_whatever_happens_is_one_of_our_errors_in_time_and_shows_no_key(transport, server, act, kind, caplog):
    caplog.set_level(logging.DEBUG)
    server.act = act
    started = time.monotonic()
    with pytest.raises(kind) as raised:
        transport(b"[1]", 0.7)
    assert time.monotonic() - started < 3
    assert type(raised.value) is kind
    assert isinstance(raised.value, Retryable)
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(transport)
    assert KEY not in shown
    assert KEY not in str([vars(line) for line in caplog.records])


def test_a_client_error_with_a_json_rpc_body_is_an_answer(transport, server):
    server.act = lambda to: to.answer(400, REFUSAL)
    assert transport(b"[1]", 5.0) == REFUSAL


@pytest.mark.parametrize(
    ("headers", "body", "pause_s"),
    [
        ({"Retry_After": "7"}, REFUSAL, 7.0),
        ({"Retry_After": "999999"}, REFUSAL, 3600.0),
        ({"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, REFUSAL, 0.0),
        ({"Retry_After": "soon"}, REFUSAL, None),
        ({}, REFUSAL, None),
        ({}, b"Monthly capacity limit exceeded", 3600.0),
    ],
)
def test_a_rate_limit_carries_how_long_to_wait(transport, server, headers, body, pause_s):
    server.act = lambda to: to.answer(429, body, **headers)
    with pytest.raises(RateLimited) as raised:
        transport(b"[1]", 5.0)
    assert raised.value.retry_after_s == pause_s


def test_a_connection_that_was_closed_meanwhile_is_opened_again(transport, server):
    def once(to):
        to.answer()
        to.connection.shutdown(socket.SHUT_RDWR)

    server.act = once
    for _ in range(3):
        assert transport(b"[1]", 5.0) == ANSWER


def test_nobody_there_is_unavailable_without_the_key():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{KEY}"
        for nowhere in (url, f"https://{KEY}.invalid/"):
            with pytest.raises(NodeUnavailable) as raised:
                HttpTransport(nowhere)(b"[1]", 2.0)
            assert KEY not in "".join(traceback.format_exception(raised.value))


def test_a_url_of_another_kind_is_a_wrong_setting_and_is_not_shown():
    with pytest.raises(BadSetting) as raised:
        HttpTransport(f"ftp://host/{KEY}")
    assert KEY not in str(raised.value)


def test_an_endpoint_that_echoes_the_key_teaches_it_to_nobody(transport, server):
    def echo(to):
        ids = [one["id"] for one in orjson.loads(server.requests[-1][2])]
        error = {"code": -32000, "message": f"key {KEY} at {server.url} is throttled", "data": {"key": KEY}}
        to.answer(body=orjson.dumps([{"jsonrpc": "2.0", "id": number, "error": error} for number in ids]))

    server.act = echo
    with pytest.raises(GazetteerError) as raised:
        HttpNode(transport.name, transport).heads()
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert "throttled" in str(raised.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"https://eth-mainnet.example.com/v2/{KEY}", "eth-mainnet.example.com"),
        (f"wss://user:{KEY}@node.example.com:8546/x?key={KEY}", "node.example.com:8546"),
        (f"https://{KEY}.eth.example.com/", "***.eth.example.com"),
        ("http://127.0.0.1:8545", "127.0.0.1:8545"),
        ("nonsense", "***"),
        ("http://[::1", "***"),
        ("http://host:99999999/", "***"),
        ("", "***"),
    ],
)
def test_an_endpoint_is_called_by_its_host(url, name):
    assert public_name(url) == name


def test_two_endpoints_at_one_host_have_two_names():
    urls = ["https://a.example/" + KEY, "https://b.example/", "https://a.example/other"]
    assert public_names(urls) == ("a.example", "b.example", "a.example#2")


def test_text_is_shown_without_urls_and_keys_and_not_at_length():
    text = f"Get https://eth.example.com/v2/{KEY}: key={KEY} block 0x{'ab' * 32} missing"
    shown = redacted(text)
    assert KEY not in shown
    assert "https://eth.example.com" in shown
    assert "block 0x" + "ab" * 32 in shown
    assert len(redacted("word " * 1_000)) == 300
