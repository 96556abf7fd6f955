"""
What bin/demo and bin/test need before they can begin.

The standard library only, and a syntax that older Pythons read too: they are to be told in one
sentence that they are too old.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(PROJECT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "installed")
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
OLDEST = (3, 11)


class Stop(Exception):
    """Something is missing; its message is the one sentence that says what to do."""


def run_as_command(main):
    """Call ``main()`` and turn what stops it into one sentence and an exit code."""
    try:
        sys.exit(main())
    except Stop as reason:
        print(reason, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def ensure_environment():
    """Have the virtual environment with every pinned requirement; asks no network when it has."""
    check_python(sys.version_info)
    wanted = fingerprint()
    with only_one():
        if installed() == wanted:
            return
        check_venv()
        with contextlib.suppress(FileNotFoundError):
            os.remove(STAMP)  # written last: an interrupted install leaves none
        with step("Making the virtual environment"):
            fresh = [] if same_python() else ["--clear"]
            run([sys.executable, "-m", "venv"] + fresh + [VENV], "The virtual environment")
        with step("Installing the requirements (a minute, once)"):
            pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            last = os.path.join(PROJECT, REQUIREMENTS[-1])
            run(pip + ["-r", last], "The requirements")
        with open(STAMP, "w") as stamp:
            stamp.write(wanted)


def check_python(version):
    if tuple(version[:2]) < OLDEST:
        raise Stop(
            "Python {}.{} or later is needed, and this is {}.{}: install it and run "
            "`python3.11 {}`.".format(
                OLDEST[0], OLDEST[1], version[0], version[1], " ".join(sys.argv)
            )
        )


def check_venv():
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise Stop(
                "Python's venv module is missing: install it with `apt-get install python3-venv` "
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
    try:
        with open(STAMP) as stamp:
            return stamp.read()
    except OSError:
        return None


def same_python():
    """Whether the environment that is there, if any, is of this Python and in this place."""
    if not os.path.exists(PYTHON):
        return False
    asked = "import sys; print(sys.prefix, *sys.version_info[:2])"
    said = subprocess.run([PYTHON, "-c", asked], stdout=subprocess.PIPE, check=False)
    expected = "{} {} {}".format(VENV, *sys.version_info[:2])
    return said.stdout.decode().strip() == expected


@contextlib.contextmanager
def only_one():
    """Of two that set up at once the second waits."""
    folder = os.open(PROJECT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def run(command, what, env=None):
    """Run quietly; what it printed is shown only if it failed."""
    done = subprocess.run(
        command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace")[-3000:])
        raise Stop(f"{what} could not be set up: the reason stands above.")


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


def postgres(command, env):
    """One command of the embedded PostgreSQL: start, stop, status …"""
    return subprocess.run(
        [PYTHON, "-m", "config.embedded_postgres", command],
        cwd=PROJECT,
        env=env,
        stdout=subprocess.PIPE,
        check=False,
    )


@contextlib.contextmanager
def database(env, is_shared):
    """
    The embedded PostgreSQL for as long as the block runs; nothing where DATABASE_URL is set.

    One that is shared and was running before goes on running: another run is using it.
    """
    if env.get("DATABASE_URL"):
        yield
        return
    in_use = is_shared and postgres("status", env).returncode == 0
    if postgres("start", env).returncode:
        raise Stop("The embedded PostgreSQL did not start: the reason stands above.")
    try:
        yield
    finally:
        if not in_use:
            postgres("stop", env)
