"""Our services, the peer and the broker: started, watched and stopped."""

import base64
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import quote, urlsplit, urlunsplit

from . import account, knobs

VHOST = "recoverly_bench"
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 40


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def with_path(url, path):
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


class Program:
    """A server process of ours; it answers `ready_path` with 200 when it can work."""

    def __init__(self, name, command, environment, port, ready_path, log):
        self.name, self.base = name, f"http://127.0.0.1:{port}"
        began = time.monotonic()
        with open(log, "w") as out:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        self.log = log
        while not self._answers(ready_path):
            if self.process.poll() is not None or time.monotonic() - began > START_TIMEOUT_SECONDS:
                self.stop()
                with open(log) as f:
                    raise SystemExit(f"bench: {name} did not start:\n{f.read()[-2000:]}")
            time.sleep(0.005)
        self.started_in = round(time.monotonic() - began, 3)

    def _answers(self, path):
        try:
            with urllib.request.urlopen(self.base + path, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def memory_mib(self):
        return account.memory_mib(self.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Broker:
    """A virtual host of its own on the profile's RabbitMQ, made anew for every run."""

    def __init__(self, amqp_url, management_url):
        parts = urlsplit(management_url)
        self.user = parts.username
        self.root = f"{parts.scheme}://{parts.hostname}:{parts.port}/api"
        self.authorization = "Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        self.amqp_url = with_path(amqp_url, f"/{VHOST}")
        self._call("DELETE", f"/vhosts/{VHOST}", missing_is_fine=True)
        self._call("PUT", f"/vhosts/{VHOST}")
        everything = b'{"configure":".*","write":".*","read":".*"}'
        self._call("PUT", f"/permissions/{VHOST}/{quote(self.user)}", everything)

    def _call(self, method, path, body=None, missing_is_fine=False):
        headers = {"Authorization": self.authorization, "Content-Type": "application/json"}
        request = urllib.request.Request(self.root + path, data=body, method=method, headers=headers)
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except urllib.error.HTTPError as error:
            if not (missing_is_fine and error.code == 404):
                raise SystemExit(f"bench: RabbitMQ answers {error.code} to {method} {path}") from error

    def purge(self, queue):
        self._call("DELETE", f"/queues/{VHOST}/{queue}/contents", missing_is_fine=True)


def binary(name):
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(knobs.REPO, "target")
    return os.path.join(target, "release", f"recoverly-{name}")


def settings(database, broker):
    """The environment of our services: the profile's settings, on our database and virtual host, without the limits
    that keep one caller from taking a service for himself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    for name, value in os.environ.items():
        if name.startswith("RECOVERLY_") and name.endswith("_DATABASE_URL"):
            environment[name] = with_path(value, f"/{database}")
    environment.update(
        RECOVERLY_AMQP_URL=broker.amqp_url,
        RECOVERLY_LOG=os.environ.get("RECOVERLY_LOG") or "warn",
        RECOVERLY_LOG_FORMAT="json",
        RECOVERLY_RATE_PER_PERSON="1000000",
        RECOVERLY_RATE_PER_PROGRAM="1000000",
        RECOVERLY_RATE_PER_ADDRESS="1000000",
        RECOVERLY_CONTACT_KEY="a key of the benchmark that keeps nothing",
        RECOVERLY_DASHBOARD_URL="https://desk.example/queue",
        RECOVERLY_INSECURE_CALLBACKS="true",
        RECOVERLY_DRAIN_PAUSE_MILLISECONDS="0",
        RECOVERLY_AUDIT_ANCHOR=os.path.join(knobs.PROFILE_DIR, "measured-anchor.jsonl"),
    )
    return environment


def forget_anchor(environment):
    """The database is made anew; a copy of the seals of the one before would look like seals that were cut off."""
    if os.path.exists(environment["RECOVERLY_AUDIT_ANCHOR"]):
        os.remove(environment["RECOVERLY_AUDIT_ANCHOR"])


def start_service(name, environment):
    port = free_port()
    environment = {**environment, f"RECOVERLY_{name.upper()}_LISTEN": f"127.0.0.1:{port}"}
    log = os.path.join(knobs.PROFILE_DIR, "logs", f"recoverly-{name}.log")
    return Program(f"recoverly-{name}", [binary(name), "serve"], environment, port, "/readyz", log)


def migrate(name, environment):
    ran = subprocess.run([binary(name), "migrate", "up"], env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"bench: recoverly-{name} migrate up failed:\n{ran.stderr[-2000:]}")


def start_peer(database, mode):
    """The kit's FastAPI service, with two workers; `mode`: statements or function."""
    venv = os.path.join(knobs.PROFILE_DIR, "peer")
    requirements = os.path.join(knobs.KIT, "peer_fastapi", "requirements.txt")
    if not os.path.exists(os.path.join(venv, ".ready")):
        subprocess.run(["python3", "-m", "venv", venv], check=True)
        pip = [os.path.join(venv, "bin", "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", requirements], check=True)
        with open(os.path.join(venv, ".ready"), "w"):
            pass
    env, port = database.environment, free_port()
    at = f"{quote(env['PGUSER'])}:{quote(env['PGPASSWORD'])}@{env['PGHOST']}:{env['PGPORT']}/{database.name}"
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgresql+asyncpg://{at}",
        "PEER_WRITE_MODE": mode,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [os.path.join(venv, "bin", "uvicorn"), "app.main:app", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--app-dir", os.path.join(knobs.KIT, "peer_fastapi"), "--workers", "2", "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    log = os.path.join(knobs.PROFILE_DIR, "logs", f"peer-{mode}.log")
    return Program(f"peer-{mode}", command, environment, port, "/healthz", log)
