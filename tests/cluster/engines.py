"""Engines on this machine, each of several processes: a Flink cluster, Beam's Prism, a pool of Python workers.

Each is a context manager that ends what it has started. Everything is bound to this machine and to free ports, and
writes into the folder that it is given.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 60.0

_OPENED = ("lang", "net", "io", "nio", "text", "time", "util", "util.concurrent", "util.concurrent.atomic")
"""Packages of java.base that Flink looks into; Java 17 asks for leave."""


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def wait_until(done: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Wait for something, for so long at most."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


def listens(port: int) -> bool:
    """Tell whether something listens on the port."""
    with socket.socket() as tried:
        return tried.connect_ex(("localhost", port)) == 0


@contextlib.contextmanager
def process(command: list[str], log: Path, **kwargs: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background, and end it with all that it started."""
    with open(log, "ab") as out:
        settings: dict[str, Any] = {"stdout": out, "stderr": subprocess.STDOUT, "preexec_fn": os.setpgrp, **kwargs}
        running: Any = subprocess.Popen(command, **settings)
        try:
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, 9)
            running.wait()


def _processor_ticks(pid: int) -> int:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


@contextlib.contextmanager
def worker_pool(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Start Beam's pool of Python workers, which starts a worker for each engine process that asks for one.

    Args:
        folder: in which workers run.
        environment: variables that they get.

    Yields:
        The address of the pool, for --environment_config.
    """
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the pool starts its workers as "python"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment, "PATH": path}
    with process(command, folder / "pool.log", cwd=folder, env=environment):
        wait_until(lambda: listens(port), "the worker pool")
        yield f"localhost:{port}"


@dataclass
class Flink:
    """A running cluster."""

    port: int
    task_managers: list[subprocess.Popen[bytes]]
    add_task_manager: Callable[[], None]

    @property
    def address(self) -> str:
        """For --flink_master."""
        return f"localhost:{self.port}"

    def busiest(self) -> tuple[subprocess.Popen[bytes], int]:
        """Return the TaskManager whose Python worker has used most of the processor, and that worker's process id."""
        workers = [
            (each, int(pid))
            for each in self.task_managers
            for thread in Path(f"/proc/{each.pid}/task").glob("*/children")
            for pid in thread.read_text().split()
        ]
        return max(workers, key=lambda found: _processor_ticks(found[1]))

    def attempts(self) -> int:
        """Return how often that task of the latest job was tried which was tried most often."""
        job = self._latest_job()
        vertices = [each["id"] for each in self.get(f"jobs/{job}")["vertices"]]
        tasks = [task for each in vertices for task in self.get(f"jobs/{job}/vertices/{each}")["subtasks"]]
        return 1 + max(task["attempt"] for task in tasks)

    def accumulators(self) -> str:
        """Return what Flink's page shows under the accumulators of the latest job, as text."""
        shown = self.get(f"jobs/{self._latest_job()}/accumulators")
        return " ".join(each["value"] for each in shown["user-task-accumulators"])

    def _latest_job(self) -> str:
        return max(self.get("jobs/overview")["jobs"], key=lambda each: each["start-time"])["jid"]

    def get(self, path: str) -> Any:
        """Ask the JobManager."""
        with urllib.request.urlopen(f"http://{self.address}/v1/{path}", timeout=10) as answer:
            return json.load(answer)

    def task_manager_count(self) -> int:
        """Return how many TaskManagers have reported; 0 while nobody answers."""
        try:
            return self.get("overview")["taskmanagers"]
        except (urllib.error.URLError, ConnectionError):
            return 0


@contextlib.contextmanager
def flink_cluster(lib: Path, folder: Path, *, task_managers: int = 2, slots: int = 2) -> Iterator[Flink]:
    """Start a JobManager and TaskManagers.

    Args:
        lib: Flink's jars.
        folder: for configuration, logs and what is shuffled.
        task_managers: how many.
        slots: of each.
    """
    rest, rpc = free_port(), free_port()
    (folder / "conf").mkdir(parents=True)
    settings = {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": rpc,
        "rest.address": "localhost",
        "rest.bind-address": "localhost",
        "rest.port": rest,
        "taskmanager.host": "localhost",
        "taskmanager.numberOfTaskSlots": slots,
        "taskmanager.load-balance.mode": "SLOTS",
        "taskmanager.cpu.cores": 1.0,
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.jvm-metaspace.size": "192m",
        "taskmanager.memory.jvm-overhead.min": "64m",
        "taskmanager.memory.jvm-overhead.max": "64m",
        "taskmanager.memory.task.heap.size": "384m",
        "taskmanager.memory.task.off-heap.size": "64m",
        "taskmanager.memory.managed.size": "128m",
        "taskmanager.memory.network.min": "192m",
        "taskmanager.memory.network.max": "192m",
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 8000,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 5,
        "restart-strategy.fixed-delay.delay": "2 s",
        "io.tmp.dirs": str(folder),
        "web.upload.dir": str(folder / "jars"),
    }
    text = "".join(f"{key}: {value}\n" for key, value in settings.items())
    (folder / "conf/config.yaml").write_text(text)
    (folder / "conf/log4j.properties").write_text(
        "rootLogger.level = INFO\nrootLogger.appenderRef.out.ref = out\nappender.out.name = out\n"
        "appender.out.type = Console\nappender.out.layout.type = PatternLayout\n"
        "appender.out.layout.pattern = %d %-5p %c - %m%n\n"
    )
    java = ["java", *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED)]
    java += [f"-Dlog4j.configurationFile={folder}/conf/log4j.properties", "-XX:+UseSerialGC", "-cp", f"{lib}/*"]
    entry = "org.apache.flink.runtime"
    conf = ["--configDir", str(folder / "conf")]
    with contextlib.ExitStack() as stack:
        manager = [java[0], "-Xmx512m", *java[1:], f"{entry}.entrypoint.StandaloneSessionClusterEntrypoint", *conf]
        stack.enter_context(process(manager, folder / "jobmanager.log"))
        worker = [java[0], "-Xmx512m", *java[1:], f"{entry}.taskexecutor.TaskManagerRunner", *conf]
        running: list[subprocess.Popen[bytes]] = []

        def add() -> None:
            log = folder / f"taskmanager{len(running)}.log"
            running.append(stack.enter_context(process(worker, log, cwd=folder)))

        for _ in range(task_managers):
            add()
        cluster = Flink(rest, running, add)
        wait_until(lambda: cluster.task_manager_count() == task_managers, "the Flink cluster", 90)
        yield cluster


@contextlib.contextmanager
def prism(binary: str, folder: Path) -> Iterator[str]:
    """Start Beam's Prism, and give the address of its job service, for --job_endpoint."""
    port, page = free_port(), free_port()
    command = [binary, f"-job_port={port}", f"-web_port={page}"]
    with process(command, folder / "prism.log", cwd=folder):
        wait_until(lambda: listens(port), "Prism")
        yield f"localhost:{port}"
