"""A PostgreSQL server of a test, on 127.0.0.1."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.tracking.test_tracking import free_port

PASSWORD = "s3cret %}{@/:?#"
"""Of all users."""


@dataclass(frozen=True)
class PostgreSQL:
    folder: Path
    binaries: Path
    port: int

    def run(self, name: str, *arguments: str, code: int = 0) -> None:
        """One of its programs, which refuse to run as root."""
        user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if not os.getuid() else {}
        done = subprocess.run(
            [self.binaries / name, "-D", self.folder / "data", *arguments],
            capture_output=True, text=True, check=False, cwd=self.folder, **user,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -c unix_socket_directories= -c fsync=off"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """At once, as in a crash."""
        self.run("pg_ctl", "-m", "immediate", "stop")

    def address(self, database: str, user: str = "lab", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        psycopg2 = pytest.importorskip("psycopg2", reason="the extra server is not installed")
        connection = psycopg2.connect(self.address("postgres"))
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A running server. Skips the test where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="rnnlab-postgres-"))  # pytest's own folders are closed to other users
    server = PostgreSQL(folder, found[-1].parent if found else Path(str(on_path)).parent, free_port())
    try:
        if not os.getuid():
            shutil.chown(folder, "postgres", "postgres")
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        server.run("initdb", "-U", "lab", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync")
        server.start()
        yield server
    finally:
        if (folder / "data/postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)
