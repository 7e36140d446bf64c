"""Peers that dribble, do not read, or open more than their share: each is let go in its time, and
those who ask in whole requests are answered meanwhile.
"""

import asyncio
import resource
import socket
import threading
import time
from contextlib import ExitStack, suppress

import httpx2 as httpx
import psutil
import pytest

from pipeline.web.api.access import Security
from pipeline.web.api.guard import Guard, Places
from pipeline.web.connections import Bounds, Connection
from pipeline.web.service.requests import TrainingRequest
from support.serving import listening, until

pytestmark = pytest.mark.drill

JOBS = "/api/training/jobs"
HEAD = f"GET {JOBS} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = (
    "POST /api/training/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Content-Length: 1000\r\n\r\n{"
)
CHUNKED = POST.replace("Content-Length: 1000", "Transfer-Encoding: chunked")[:-1] + "4\r\n{"
SHORT = Bounds(head=0.4, body=0.5, answer=0.5, a_peer=40)


@pytest.fixture
def port(service):
    with listening(service, SHORT) as port:
        yield port


def sent(port, text):
    """A connection on which ``text`` was sent."""
    peer = socket.create_connection(("127.0.0.1", port), timeout=120)
    peer.sendall(text.encode())
    return peer


def rest(peer):
    """What comes until the server hangs up."""
    try:
        return b"".join(iter(lambda: peer.recv(65_536), b""))
    except ConnectionError:
        return b""


def asked(port):
    """Ask for the jobs on a new connection; return the status and the seconds of computing."""
    began = time.process_time()
    with sent(port, HEAD + "\r\n") as peer:
        return int(peer.recv(65_536)[9:12]), time.process_time() - began


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", b""),
        ("G", b"408"),
        (HEAD, b"408"),
        (HEAD + "X-A: 1\r\n", b"408"),
        (POST, b"408"),
        (
            POST.replace("Content-Length: 1000", "Transfer-Encoding: chunked")[:-1] + "4\r\n{",
            b"408",
        ),
        # An answer before the body has come, and then no body.
        (POST.replace("Length: 1000", "Length: 9000000"), b"413"),
    ],
)
def test_what_never_comes_whole_is_not_waited_for(port, text, status):
    began = time.monotonic()
    with sent(port, text) as peer:
        said = rest(peer)
    assert said[9:12] == status
    assert status != b"408" or b" did not come within 0." in said  # as `SHORT` has it
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("text", [HEAD, POST])
def test_one_byte_after_the_other_wins_no_time(port, text):
    began = time.monotonic()
    with sent(port, text) as peer, suppress(ConnectionError):
        while time.monotonic() - began < 120:
            peer.sendall(b"x")
            time.sleep(0.05)
    assert time.monotonic() - began < 60


def test_a_second_request_on_a_connection_has_its_time_too(service, monkeypatch):
    """What comes after the second is in a hurry."""
    watch, whole = Connection._watch, []

    def watched(connection):
        waited = connection.waiting
        watch(connection)
        if waited and not connection.waiting:
            whole.append(connection)
            connection.bounds = SHORT if len(whole) == 2 else connection.bounds

    monkeypatch.setattr(Connection, "_watch", watched)
    bounds = SHORT._replace(head=120.0)
    with listening(service, bounds) as port, sent(port, HEAD + "\r\n") as peer:
        assert b"200 OK" in peer.recv(65_536)
        peer.sendall(f"{HEAD}\r\n{HEAD}".encode())
        said = rest(peer)
    assert said.index(b"200 OK") < said.index(b"408")


def test_the_newest_of_a_peer_takes_the_place_of_one_that_asks_nothing(service):
    with listening(service, SHORT._replace(head=60.0)) as port, ExitStack() as stack:
        peers = [stack.enter_context(sent(port, HEAD)) for _ in range(SHORT.a_peer)]
        assert asked(port)[0] == 200
        assert rest(peers[0]) == b""  # let go
        peers[-1].sendall(b"\r\n")
        assert b"200 OK" in peers[-1].recv(65_536)


def waiting_job(service):
    """A job that waits, so that its stream has no end."""
    return service.start_training(TrainingRequest(markets=["demo"])).job_ids[0]


def test_streams_of_one_address_are_counted_and_places_come_back(service):
    job = waiting_job(service)
    stream = f"GET {JOBS}/{job}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with listening(service, SHORT._replace(head=120.0), lasting=3) as port:
        with ExitStack() as stack:
            peers = [stack.enter_context(sent(port, stream)) for _ in range(3)]
            assert all(b"200 OK" in peer.recv(1_000) for peer in peers)
            refused = httpx.get(f"http://127.0.0.1:{port}{JOBS}/{job}/events")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
            assert asked(port)[0] == 200

        def free():
            with sent(port, stream) as peer:
                return b"200 OK" in peer.recv(1_000)

        until(free)


def test_a_peer_that_does_not_read_is_let_go(service, monkeypatch):
    """Its answer is longer than what the kernel holds for it."""
    many, was_asked = service.jobs, threading.Event()

    def long(*words, **settings):
        was_asked.set()
        page = many(*words, **settings)
        return page.model_copy(update={"jobs": [waiting] * 60_000})

    job = waiting_job(service)
    waiting = service.job(job)
    monkeypatch.setattr(service, "jobs", long)
    here = psutil.Process()
    bounds = SHORT._replace(head=120.0)
    with listening(service, bounds) as port, sent(port, HEAD + "\r\n"):
        assert was_asked.wait(120)
        until(lambda: not connected(here, port))


def connected(process, port):
    return any(
        c.laddr.port == port and c.status == "ESTABLISHED" for c in process.net_connections("tcp")
    )


def test_a_thousand_sockets_that_dribble(service, record_property):
    """None of them is refused a place for ever; memory is bounded, and honest requests go on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2_500:
        pytest.skip("the system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_500), hard))
    kinds = ("", "G", HEAD, POST, HEAD + "X-Long: " + "a" * 20_000, POST + " " * 900)
    before = psutil.Process().memory_info().rss
    bounds = Bounds(head=600.0, body=600.0, in_all=600)
    with listening(service, bounds) as port, ExitStack() as stack:
        peers = [stack.enter_context(sent(port, kinds[n % len(kinds)])) for n in range(1_000)]
        asked(port)  # waits until all that came before was looked at
        took = [asked(port) for _ in range(10) if dribble(peers)]
        assert {status for status, _ in took} == {200}
        assert max(seconds for _, seconds in took) < 1.0
        assert sum(not gone(peer) for peer in peers) <= bounds.a_peer
        more = psutil.Process().memory_info().rss - before
    assert more < 200 << 20
    slowest = max(seconds for _, seconds in took)
    figures = f"{more >> 20} MB more (200), a whole request computes {slowest:.2f} s (1.00)"
    record_property("bound", f"1,000 sockets that dribble: {figures}")


def dribble(peers):
    """Send one more byte on each; return whether any still takes it."""
    taken = 0
    for peer in peers:
        with suppress(ConnectionError):
            taken += peer.send(b"x")
    return taken


def gone(peer):
    peer.setblocking(False)
    try:
        return peer.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_websockets_of_one_address_are_counted():
    """Those beyond the places are closed before the application hears of them."""
    places, heard, told = Places(2), [], []

    async def application(scope, receive, send):
        heard.append(scope["client"])
        if len(heard) < 3:
            await opened("10.0.0.1")  # while this one is open

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        told.append(message)

    guard = Guard(application, Security(), places)

    async def opened(peer):
        headers = [(b"host", b"127.0.0.1")]
        scope = {"type": "websocket", "path": "/", "headers": headers, "client": (peer, 1)}
        await guard(scope, receive, send)

    asyncio.run(opened("10.0.0.1"))
    assert len(heard) == 2
    assert told == [{"type": "websocket.close", "code": 1008}]
    with places.one({"client": ("10.0.0.1", 1)}) as free:
        assert free
