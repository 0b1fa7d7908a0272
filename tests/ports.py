"""What may be found behind a port that is no camera's."""

from __future__ import annotations

import http.server
import random
import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

NOISE = random.Random(1).randbytes(4096)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose every connection is handled by a function, in a thread of its own; it is closed behind it."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                answer(self.request)

    with _running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield port


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    over = threading.Event()
    with answering(lambda _: over.wait() and None) as port:
        try:
            yield port
        finally:
            over.set()


def garbage(connection: socket.socket) -> None:
    """Noise in answer to anything."""
    connection.recv(4096)
    for _ in range(100):
        connection.sendall(NOISE)


def web_page(connection: socket.socket) -> None:
    """A web server that was asked for RTSP."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nno\n")


def saying(status: str) -> Callable[[socket.socket], None]:
    """An RTSP server that answers every request the same."""

    def answer(connection: socket.socket) -> None:
        while request := connection.recv(4096):
            sequence = request.partition(b"CSeq: ")[2].partition(b"\r\n")[0].decode()
            connection.sendall(f"RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n\r\n".encode())

    return answer


def hang_up(connection: socket.socket) -> None:
    """Ends the connection when asked for anything."""
    connection.recv(4096)


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers nothing at all, not even a request for a connection: its queue is full."""
    with ExitStack() as sockets:
        hole = sockets.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        while True:
            waiting = sockets.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(hole.getsockname())
            except TimeoutError:
                break
        yield hole.getsockname()[1]


@contextmanager
def serving(pages: Mapping[str, bytes | str]) -> Iterator[int]:
    """A web server: bytes are sent as they are, a text is where to go instead; anything else is not found."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            if page is None:
                self.send_error(404)
                return
            self.send_response(302 if isinstance(page, str) else 200)
            if isinstance(page, str):
                self.send_header("Location", page)
            body = b"" if isinstance(page, str) else page
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with _running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield port


def certificate_in(folder: Path) -> tuple[Path, Path]:
    """A certificate that nobody but itself has signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    key, certificate = folder / "box.key", folder / "box.pem"
    how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=camera"]
    command = ["openssl", "req", "-x509", *how, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@contextmanager
def encrypted(port: int, folder: Path) -> Iterator[int]:
    """TLS before another port, with a certificate that nobody but itself has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate_in(folder))

    def relay(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as outside,
            socket.create_connection(("127.0.0.1", port)) as inside,
        ):
            while True:
                ready = [outside] if outside.pending() else select.select([outside, inside], [], [])[0]
                for one in ready:
                    if not (data := one.recv(65536)):
                        return
                    (inside if one is outside else outside).sendall(data)

    with answering(relay) as outer:
        yield outer


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
