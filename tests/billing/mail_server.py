"""A mail server on a port of its own, that takes mails or does something worse."""

from __future__ import annotations

import email
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any

# What it does when it has read a whole mail.
TAKES = "takes"
REFUSES = "refuses"
HANGS_UP = "hangs up"
SAYS_NOTHING = "says nothing"
# What it does before there is a mail.
REFUSES_THE_READER = "refuses the reader"
HANGS_UP_EARLY = "hangs up early"
SAYS_NO_HELLO = "says no hello"


class MailServer(socketserver.ThreadingTCPServer):
    """
    ``behaviour``: one of the above. ``taken``: the mails that it has read to their end.

    :param on_mail: called with each of them, before it answers
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.behaviour = TAKES
        self.taken: list[EmailMessage] = []
        self.connections = 0
        self.on_mail: Callable[[EmailMessage], Any] = lambda message: None
        self.over = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]

    @property
    def subjects(self) -> list[str]:
        return [message["Subject"] for message in self.taken]


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.connections += 1
        if self.server.behaviour == SAYS_NO_HELLO:
            self.server.over.wait(10)
            return
        self._say("220 here")
        while line := self.rfile.readline():
            command = line[:4].upper().strip()
            if command == b"QUIT":
                self._say("221 bye")
                return
            if command == b"MAIL" and self.server.behaviour == HANGS_UP_EARLY:
                return
            if command == b"RCPT" and self.server.behaviour == REFUSES_THE_READER:
                self._say("550 secret-host says no")
            elif command == b"DATA":
                self._say("354 go on")
                if not self._read():
                    return
            else:
                self._say("250 fine")

    def _read(self) -> bool:
        """Take a mail and answer; whether the session goes on."""
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b"..") else line)
        message = email.message_from_bytes(b"".join(lines), policy=default)
        self.server.taken.append(message)
        self.server.on_mail(message)
        match self.server.behaviour:
            case "refuses":
                self._say("554 secret-host does not like it")
            case "hangs up":
                return False
            case "says nothing":
                self.server.over.wait(10)
                return False
            case _:
                self._say("250 taken")
        return True

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


@contextmanager
def serving() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
