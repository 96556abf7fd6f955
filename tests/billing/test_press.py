import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from billing.services.documents import press as presses
from billing.services.documents.press import DocumentNotPrinted, press
from tests.billing.pages import Pdf, order_of


class TestPress:
    def test_starts_a_new_process_when_the_old_one_was_killed(self):
        press.print(order_of("a"))
        killed = press._process.pid
        os.kill(killed, signal.SIGKILL)
        press._process.wait()

        assert press.print(order_of("a")).startswith(b"%PDF-1.7")
        assert press._process.pid != killed

    def test_replaces_its_process_after_a_while(self, monkeypatch):
        monkeypatch.setattr(presses, "DOCUMENTS_PER_PROCESS", 2)
        press.forget()
        used = []

        for _document in range(5):
            press.print(order_of("a"))
            used.append(press._process.pid)

        assert used[0] == used[1] != used[2] == used[3] != used[4]

    def test_refuses_when_no_process_can_print(self, monkeypatch, tmp_path):
        monkeypatch.setattr(presses, "FOLDER", tmp_path)
        press.forget()

        with pytest.raises(DocumentNotPrinted) as refused:
            press.print(order_of("a"))

        assert refused.value.code == "document_not_printed"
        monkeypatch.undo()
        assert press.print(order_of("a")).startswith(b"%PDF")

    def test_refuses_when_it_takes_too_long(self, monkeypatch):
        monkeypatch.setattr(presses, "DEADLINE", 0)
        press.forget()

        with pytest.raises(DocumentNotPrinted):
            press.print(order_of("a"))

        monkeypatch.undo()
        assert press.print(order_of("a")).startswith(b"%PDF")

    def test_gives_each_thread_its_own_document(self):
        names = [f"Plan {number}" for number in range(40)]

        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda name: (name, press.print(order_of(name))), names))

        assert [Pdf(content).lines.count(f"{name} 1 1 1") for name, content in made] == [1] * 40

    def test_is_not_shared_with_a_fork(self):
        press.print(order_of("a"))

        child = os.fork()
        if child == 0:
            os._exit(0 if press._process is None else 1)

        assert os.waitpid(child, 0)[1] == 0
        assert press._process is not None

    def test_ends_with_who_started_it(self):
        program = (
            "import django, os, signal; django.setup()\n"
            "from billing.services.documents.press import press\n"
            "press._start(); print(press._process.pid, flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        printer = int(done.stdout)

        deadline = time.monotonic() + 10
        while not _has_ended(printer):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _has_ended(pid):
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().split(") ")[1].startswith("Z")
