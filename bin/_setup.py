"""
What bin/demo and bin/test share: the virtual environment, the database, and how they end.

The standard library only, and a syntax that older Pythons read too: they are to be told in one
sentence that they are too old.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(PROJECT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "installed")
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
OLDEST = (3, 11)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 30  # seconds until a child that was asked to end is killed


class Stop(Exception):
    """Something is missing; its message is the one sentence that says what to do."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: ends like Ctrl-C, but our children have not heard of it."""


# --- Beginning and end ---


def run_as_command(main):
    """Call ``main()`` and turn what stops it into one sentence and an exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, terminate)
    try:
        check_python(sys.version_info)
        sys.exit(main())
    except Stop as reason:
        print(reason, file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that is closed to us
        print(f"This cannot go on: {error}.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def terminate(_signal, _frame):
    raise Terminated


def be_undisturbed():
    """From here on nothing interrupts: what was started is being stopped already."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def call(command, env):
    """Run to the end and return the exit code; when interrupted, let the child clean up."""
    child = subprocess.Popen(command, cwd=PROJECT, env=env)
    try:
        return child.wait()
    except KeyboardInterrupt as reason:
        # A shell that starts us with "&" may have us, and so the child, ignore Ctrl-C.
        is_deaf = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        be_undisturbed()
        if isinstance(reason, Terminated):  # Ctrl-C reaches the child by itself
            child.send_signal(signal.SIGTERM if is_deaf else signal.SIGINT)
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise


def run(command, what, env=None):
    """Run quietly; what it printed is shown only if it failed."""
    done = subprocess.run(
        command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        print(without_traceback(done.stdout.decode(errors="replace")), file=sys.stderr)
        raise Stop(f"{what} could not be set up: the reason stands above.")


def without_traceback(output):
    _before, traceback, after = output.rpartition("Traceback (most recent call last):\n")
    if not traceback:
        return output[-3000:].strip()
    lines = after.splitlines()
    said = next((n for n, line in enumerate(lines) if not line.startswith(" ")), 0)
    return "\n".join(lines[said:]).strip()


@contextlib.contextmanager
def step(title):
    """Say what is being done, and how long it took."""
    print(f"{title} … ", end="", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - began:.1f} s", flush=True)


# --- The virtual environment ---


def ensure_environment():
    """Have the virtual environment with every pinned requirement; asks no network when it has."""
    wanted = fingerprint()
    if installed() == wanted:
        return
    with only_one_setup():
        if installed() == wanted:
            return
        check_venv()
        with contextlib.suppress(FileNotFoundError):
            os.remove(STAMP)  # written last: an interrupted install leaves none
        with step("Making the virtual environment"):
            fresh = [] if is_of_this_python() else ["--clear"]
            run([sys.executable, "-m", "venv", *fresh, VENV], "The virtual environment")
        with step("Installing the requirements (a minute, once)"):
            pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
            last = os.path.join(PROJECT, REQUIREMENTS[-1])
            run([*pip, "install", "-r", last], "The requirements")
        with open(STAMP, "w") as stamp:
            stamp.write(wanted)


def check_python(version):
    if tuple(version[:2]) < OLDEST:
        needed = ".".join(map(str, OLDEST))
        found = ".".join(map(str, version[:2]))
        raise Stop(
            f"Python {needed} or later is needed, and this is {found}: install it and run "
            f"`python{needed} {' '.join(sys.argv)}`."
        )


def check_venv():
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise Stop(
                "Python's venv module is missing: install it with `apt install python3-venv` "
                "(Debian, Ubuntu) or your system's package of it."
            )


def fingerprint():
    """Of what should be installed: it changes with the requirements and with the Python."""
    digest = hashlib.sha256(repr((sys.version_info[:3], PROJECT)).encode())
    for name in REQUIREMENTS:
        with open(os.path.join(PROJECT, name), "rb") as requirements:
            digest.update(requirements.read())
    return digest.hexdigest()


def installed():
    """The fingerprint of what is installed; none where the Python below it has gone."""
    try:
        with open(STAMP) as stamp:
            return stamp.read() if os.path.exists(PYTHON) else None
    except OSError:
        return None


def is_of_this_python():
    """Whether the environment that is there, if any, is of this Python and in this place."""
    if not os.path.exists(PYTHON):
        return False
    asked = "import sys; print(sys.prefix, *sys.version_info[:2])"
    said = subprocess.run([PYTHON, "-c", asked], stdout=subprocess.PIPE, check=False)
    expected = "{} {} {}".format(VENV, *sys.version_info[:2])
    return said.stdout.decode().strip() == expected


@contextlib.contextmanager
def only_one_setup():
    """Of two that set up at once the second waits."""
    folder = os.open(PROJECT, os.O_RDONLY)
    try:
        lock(folder, fcntl.LOCK_EX, "Another run is setting up; waiting for it …")
        yield
    finally:
        os.close(folder)


def lock(file, kind, while_waiting):
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        print(while_waiting, flush=True)
        fcntl.flock(file, kind)


# --- The database ---


def postgres_folder(env):
    asked = "from config import embedded_postgres; print(embedded_postgres.FOLDER)"
    said = subprocess.run(
        [PYTHON, "-c", asked], cwd=PROJECT, env=env, stdout=subprocess.PIPE, check=False
    )
    if said.returncode:
        raise Stop("The folder of the embedded PostgreSQL is unknown: the reason stands above.")
    return said.stdout.decode().strip()


def postgres(command, env):
    """One command of the embedded PostgreSQL: start, stop, status …; Ctrl-C does not reach it."""
    return subprocess.run(
        [PYTHON, "-m", "config.embedded_postgres", command],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        start_new_session=True,
        check=False,
    )


@contextlib.contextmanager
def database(env, is_shared):
    """
    The embedded PostgreSQL for as long as the block runs; nothing where DATABASE_URL is set.

    The last of its users stops it, unless it was running before and was no server of ours. Those
    that do not share it take turns.
    """
    if env.get("DATABASE_URL"):
        yield
        return
    folder = postgres_folder(env)
    with open(users_of(folder), "a+") as users:
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        lock(users, kind, "Another run is using this database; waiting for it …")
        with step("Starting PostgreSQL"):
            was_running = postgres("status", env).returncode == 0
            started = postgres("start", env)
            if started.returncode:
                print(without_traceback(started.stderr.decode(errors="replace")), file=sys.stderr)
                raise Stop("The embedded PostgreSQL did not start: the reason stands above.")
        is_ours = note_server(users, folder, was_running)
        try:
            yield
        finally:
            be_undisturbed()
            if is_ours and is_free(users):
                postgres("stop", env)


def users_of(folder):
    """The file that the users of a database hold locked; it names the server that we started."""
    return os.path.join(VENV, f"database-{hashlib.sha256(folder.encode()).hexdigest()[:8]}")


def note_server(users, folder, was_running):
    """Tell whether the server is one that we started, now or in a run that was killed."""
    with open(os.path.join(folder, "data", "postmaster.pid")) as pid:
        server = pid.readline()
    users.seek(0)
    if was_running and users.read() != server:
        return False
    users.truncate(0)
    users.write(server)
    users.flush()
    return True


def is_free(users):
    """Whether nobody else holds it, and so we now do."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
