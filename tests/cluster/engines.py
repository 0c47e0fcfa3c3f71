"""Engines on this machine, each of several processes: Flink, Spark, Beam's Prism, and a pool of Python workers.

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

from pipelines import progress

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

    def accumulators(self) -> str:
        """Return what Flink's page shows under the accumulators of the latest job, as text."""
        shown = self.get(f"jobs/{self._latest_job()}/accumulators")
        return " ".join(each["value"] for each in shown["user-task-accumulators"])

    def _latest_job(self) -> str:
        return max(self.get("jobs/overview")["jobs"], key=lambda each: each["start-time"])["jid"]

    def cancel(self) -> None:
        """Cancel the latest job."""
        asked = urllib.request.Request(f"http://{self.address}/v1/jobs/{self._latest_job()}", method="PATCH")
        urllib.request.urlopen(asked, timeout=10).close()

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


@dataclass
class Spark:
    """A running cluster of a standalone master and a worker."""

    port: int
    rest_port: int
    page: int
    worker: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """For --spark_master_url."""
        return f"spark://127.0.0.1:{self.port}"

    @property
    def rest(self) -> str:
        """For --spark_rest_url."""
        return f"http://127.0.0.1:{self.rest_port}"

    def executors(self) -> list[int]:
        """Return the process ids of the executors."""
        return _processes("CoarseGrainedExecutorBackend")

    def drivers(self) -> list[int]:
        """Return the process ids of the drivers."""
        return _processes("org.apache.spark.deploy.worker.DriverWrapper")

    def alive_workers(self) -> int:
        """Return how many workers have reported; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/json/", timeout=10) as answer:
                return json.load(answer)["aliveworkers"]
        except (urllib.error.URLError, ConnectionError):
            return 0


def _processes(name: str) -> list[int]:
    """Return the ids of the Java processes whose command line has a name."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"java") and any(name.encode() in word for word in words):
                found.append(int(place.name))
    return found


def python_workers(parents: list[int]) -> list[int]:
    """Return the ids of the Python workers below some processes, the busiest first."""
    found, left = [], list(parents)
    while left:
        for thread in Path(f"/proc/{left.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = [int(pid) for pid in thread.read_text().split()]
                left += children
                found += [pid for pid in children if b"boot.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return sorted(found, key=_processor_ticks, reverse=True)


@contextlib.contextmanager
def spark_cluster(home: Path, folder: Path, *, cores: int = 3) -> Iterator[Spark]:
    """Start a standalone master and a worker.

    Args:
        home: Spark's own folder, with bin and jars.
        folder: for logs and what is shuffled.
        cores: of the worker; the driver takes one.
    """
    folder.mkdir(parents=True)
    port, rest, page = free_port(), free_port(), free_port()
    packages = [*(f"java.{name}" for name in (*_OPENED, "lang.invoke", "lang.reflect")), "sun.nio.ch"]
    opened = " ".join(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in [*packages, "sun.security.action"])
    settings = {"master.rest.enabled": "true", "master.rest.port": rest}
    java = " ".join([opened, *(f"-Dspark.{key}={value}" for key, value in settings.items())])
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "JDK_JAVA_OPTIONS": java,
    }
    deploy, program = "org.apache.spark.deploy", str(home / "bin/spark-class")
    master = [program, f"{deploy}.master.Master", "--host", "127.0.0.1", f"--port={port}", f"--webui-port={page}"]
    master = [part for each in master for part in each.split("=")]
    worker = [program, f"{deploy}.worker.Worker", "--cores", str(cores), "--memory", "5g"]
    worker += ["--webui-port", "0", "--work-dir", str(folder / "work"), f"spark://127.0.0.1:{port}"]
    with process(master, folder / "master.log", env=environment):
        wait_until(lambda: listens(port), "the Spark master")
        with process(worker, folder / "worker.log", env=environment) as running:
            cluster = Spark(port, rest, page, running)
            wait_until(lambda: cluster.alive_workers() == 1, "the Spark worker")
            yield cluster


@contextlib.contextmanager
def prism(binary: str, folder: Path) -> Iterator[str]:
    """Start Beam's Prism, and give the address of its job service, for --job_endpoint."""
    port, page = free_port(), free_port()
    command = [binary, f"-job_port={port}", f"-web_port={page}"]
    with process(command, folder / "prism.log", cwd=folder):
        wait_until(lambda: listens(port), "Prism")
        yield f"localhost:{port}"


def amid_a_batch(output: Path) -> bool:
    """Return whether gradient steps were taken of dreams that are not finished."""
    counts = progress.total(f"{output}.incomplete/progress")
    return counts["step_seconds"] > 0 and not counts["dreams"]


@dataclass
class Engine:
    """What the tests need of an engine.

    Attributes:
        name: of the engine.
        flags: that a command needs to run there.
        hosts: ids of the processes that start Python workers, such as Flink's TaskManagers.
        kill_job: ends the running job from outside.
        replace_host: starts a host in place of one that was killed, where the engine does not.
        shown: what the engine's own page shows of our counters, as text; None if it has none.
    """

    name: str
    flags: list[str]
    hosts: Callable[[], list[int]]
    kill_job: Callable[[], None]
    replace_host: Callable[[], None]
    shown: Callable[[], str] | None = None

    def busiest_worker(self) -> int:
        """Return the id of the Python worker that has used most of the processor."""
        return python_workers(self.hosts())[0]

    def busiest_host(self) -> int:
        """Return the id of the process that started it."""
        worker = self.busiest_worker()
        return next(pid for pid in self.hosts() if worker in python_workers([pid]))


def _process_flags(worker: str) -> list[str]:
    return ["--environment_type=PROCESS", f"--environment_config={worker}"]


@contextlib.contextmanager
def flink_engine(folder: Path, place: Path, worker: str) -> Iterator[Engine]:
    """Start Flink with two TaskManagers of two slots each."""
    with flink_cluster(folder / "lib", place) as cluster:
        flags = ["--runner=FlinkRunner", f"--flink_master={cluster.address}", "--flink_submit_uber_jar"]
        flags += [f"--flink_job_server_jar={folder}/job-server.jar", "--flink_version=1.19", "--parallelism=2"]

        def hosts() -> list[int]:
            return [each.pid for each in cluster.task_managers if each.poll() is None]

        def kill_job() -> None:
            cluster.cancel()

        def replace_host() -> None:
            while len(hosts()) < 2:
                cluster.add_task_manager()
            wait_until(lambda: cluster.task_manager_count() == 2, "another TaskManager", 90)

        flags += _process_flags(worker)
        yield Engine("flink", flags, hosts, kill_job, replace_host, cluster.accumulators)


@contextlib.contextmanager
def spark_engine(folder: Path, place: Path, worker: str) -> Iterator[Engine]:
    """Start a standalone Spark: its worker replaces executors by itself."""
    with spark_cluster(folder / "home", place) as cluster:
        flags = ["--runner=SparkRunner", "--spark_submit_uber_jar", f"--spark_rest_url={cluster.rest}"]
        flags += [f"--spark_master_url={cluster.address}", f"--spark_job_server_jar={folder}/job-server.jar"]

        def kill_job() -> None:
            for pid in cluster.drivers():
                os.kill(pid, 9)

        yield Engine("spark", [*flags, *_process_flags(worker)], cluster.executors, kill_job, lambda: None)


@contextlib.contextmanager
def prism_engine(folder: Path, place: Path, worker: str) -> Iterator[Engine]:
    """Start Prism, with a pool of Python workers."""
    place.mkdir(parents=True)
    known = json.loads(worker)["env"]
    with prism(str(folder / "prism"), place) as address, worker_pool(place, known) as pool:
        flags = ["--runner=PortableRunner", f"--job_endpoint={address}"]
        flags += ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
        yield Engine("prism", flags, list, lambda: None, lambda: None)


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
