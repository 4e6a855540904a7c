"""
The composition root: everything there is, opened in order, closed in reverse, for the server, the command line and tests.

Nothing below this file looks for its collaborators; they are handed over here.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database.blobs import DatabaseBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.database.occupancy import Occupancy
from qstore_appliance.deliveries.mails import Mails
from qstore_appliance.deliveries.posts import Posts
from qstore_appliance.deliveries.receivers import Receivers
from qstore_appliance.domain.outbox import Channel
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.workers import WorkerKind
from qstore_appliance.errors import ConfigurationInvalid, DataDirectoryInUse, QStoreError
from qstore_appliance.events.memory import MemoryEvents
from qstore_appliance.events.redis import RedisEvents
from qstore_appliance.limits.memory import MemoryBucket
from qstore_appliance.limits.redis import RedisBucket
from qstore_appliance.maintenance import replacement
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.alerts import Alerts
from qstore_appliance.services.announcements import Announcements
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.budgets import Budgets
from qstore_appliance.services.capsules import Capsules
from qstore_appliance.services.channels import Channels
from qstore_appliance.services.circuit_jobs import CircuitJobs
from qstore_appliance.services.circuit_runs import CircuitRuns
from qstore_appliance.services.circuit_versions import CircuitVersions
from qstore_appliance.services.circuits import Circuits
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.emails import Emails
from qstore_appliance.services.executions import Executions
from qstore_appliance.services.feeds import Feeds
from qstore_appliance.services.fleet import Fleet
from qstore_appliance.services.idempotency import Idempotency
from qstore_appliance.services.identities import Identities
from qstore_appliance.services.invitations import Invitations
from qstore_appliance.services.jobs import Jobs
from qstore_appliance.services.leftovers import Leftovers
from qstore_appliance.services.machine import cores
from qstore_appliance.services.members import Members
from qstore_appliance.services.model_registry import ModelRegistry
from qstore_appliance.services.models import Models
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.optimisations import Optimisations
from qstore_appliance.services.organizations import Organizations
from qstore_appliance.services.outbox import Outbox
from qstore_appliance.services.password_changes import PasswordChanges
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.services.remote_costs import RemoteCosts
from qstore_appliance.services.remote_jobs import RemoteJobs
from qstore_appliance.services.roles import Roles
from qstore_appliance.services.runs import Runs
from qstore_appliance.services.seals import Stamp
from qstore_appliance.services.second_factors import SecondFactors
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.services.signatures import Signatures
from qstore_appliance.services.spending import Spending
from qstore_appliance.services.storage import Storage
from qstore_appliance.services.sweeps import Sweeps
from qstore_appliance.services.top_ups import TopUps
from qstore_appliance.services.upkeep import Upkeep
from qstore_appliance.services.usage import UsageReports
from qstore_appliance.services.webhooks import Webhooks
from qstore_appliance.services.workers import Workers
from qstore_appliance.settings import Settings
from qstore_appliance.work import children
from qstore_appliance.work.calculator import Calculator
from qstore_appliance.work.consumer import Slots
from qstore_appliance.work.portal import Portal
from qstore_appliance.work.queue import HueyQueue
from qstore_appliance.work.replicas import PredictorReplicas
from qstore_appliance.work.schedule import Reaper
from qstore_appliance.work.training import Trainer

if TYPE_CHECKING:
    from qstore_appliance.deliveries.provider import Provider

log = structlog.get_logger(__name__)

#: A part that does not answer a ping in this time is taken to be away.
PING_SECONDS = 1.5
#: A stopping server waits so long for a child that is just being forked.
GIVE_UP_SECONDS = 0.5
#: The server answers its first requests before the engine is loaded beside it.
PRELOAD_AFTER_SECONDS = 0.3
#: Probes, and whatever else can wait, leave the machine so long to jobs that an earlier server left, until these run.
TAKE_OVER_SECONDS = 30.0
TAKE_OVER_LOOK_SECONDS = 0.1

#: Pages that others send browsers to: the provider, and mails.
CALLBACK = "/app/provider/callback"
RESET = "/app/reset"
INVITATION = "/app/invitation"

Ping = Callable[[], Awaitable[object]]


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Appliance:
    """Everything that is open. Made by `Appliance.open`."""

    def __init__(
        self, settings: Settings, clock: Clock, database: Database, blobs: FileBlobs | DatabaseBlobs, secret: bytes
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.database = database
        self.blobs = blobs
        url = settings.queue.url
        self.events: MemoryEvents | RedisEvents = RedisEvents(url) if url else MemoryEvents()
        self.bucket: RedisBucket | MemoryBucket = RedisBucket(url) if url else MemoryBucket()
        self.queue = HueyQueue(settings)
        self.calculator = Calculator(2)
        self.probes = Calculator(1, keep=False, nice=10)
        # A provider that hangs shall not keep anybody else's calculation waiting.
        self.errands = Calculator(1, keep=False, nice=10)
        self.replicas = PredictorReplicas(
            settings.predictions.replicas or cores(), settings.predictions.deadline_seconds
        )

        self.audit = Audit(database, clock)
        self.circuits = Circuits(database, clock, self.calculator)
        self.datasets = Datasets(database, blobs, self.calculator, clock, settings)
        self.idempotency = Idempotency(database, clock)
        self._reset_stamp = Stamp(secret, "password resets")
        self._invitation_stamp = Stamp(secret, "invitations")
        self.receivers = Receivers(settings.webhooks)
        self.webhooks = Webhooks(database, Posts(self.receivers, settings.webhooks.authority), clock)
        links = {"reset": self._reset_link, "invitation": self._invitation_link}
        doors = {
            Channel.EMAIL: Emails(Mails(settings.smtp), settings.address, links).deliver,
            Channel.SLACK: self.webhooks.deliver_to_slack,
            Channel.WEBHOOK: self.webhooks.deliver,
        }
        self.outbox = Outbox(database, clock, settings, doors)
        self.passwords = Passwords()
        self.accounts = Accounts(database, clock, self.passwords, settings)
        callers = self.accounts.callers
        notices = Notices(self.outbox, clock, settings)
        codes = Codes(database, clock, secret)
        sign_ins = SignIns(database, clock, self.passwords, codes, notices, settings)
        self.sessions = Sessions(database, clock, self.accounts, sign_ins, notices, settings, secret)
        self.members = Members(database, clock, callers)
        self.roles = Roles(database, clock, callers)
        self.invitations = Invitations(
            database,
            clock,
            self.passwords,
            sign_ins,
            notices,
            callers,
            self._invitation_stamp,
            self._invitation_link,
            settings,
        )
        self.second_factors = SecondFactors(database, clock, sign_ins, codes, notices, callers)
        self.password_changes = PasswordChanges(
            database, clock, self.passwords, sign_ins, notices, callers, self._reset_stamp, settings
        )
        self.identities = Identities(database, clock, _provider(settings), self.sessions, notices, secret)
        self.spending = Spending(self.events, clock)
        self.alerts = Alerts(database, self.outbox, self.receivers, clock, self._month_spend, self.spending.notify)
        self.pauses = Pauses(database, self.events, clock, self._month_spend)
        self.costs = Costs(database, clock, self.alerts, self.spending.changed)
        fleet = Fleet(shared=bool(url))
        self.backends = Backends(database, self.probes, settings, clock, self.costs, fleet)
        self.storage = Storage(database, settings)
        self.organizations = Organizations(database, clock, self.sessions, self.backends, self.storage)
        self.announcements = Announcements(self.backends, self.events, clock)
        self.workers = Workers(database, self.backends, clock, settings)
        self.runs = Runs(
            database, blobs, self.events, self.backends, self.datasets, self.costs, clock, settings, self.pauses
        )
        self.remote_costs = RemoteCosts(self.backends, self.calculator)
        self.remote_jobs = RemoteJobs(database, self.backends, self.errands, self.costs, clock)
        self.jobs = Jobs(
            database,
            self.queue,
            self.backends,
            self.datasets,
            self.runs,
            self.events,
            clock,
            settings,
            self.remote_costs,
            self.pauses,
        )
        self.sweeps = Sweeps(database, self.jobs, clock)
        self.top_ups = TopUps(database, self.queue, self.events, self.runs.reservations, self.backends, clock)
        self.usage = UsageReports(database, clock)
        self.model_registry = ModelRegistry(database, clock)
        signatures = Signatures(
            lambda: _secret(settings.signing_key_file, "archives are signed with another key from then on"),
            settings.trusted_keys_dir,
        )
        self.capsules = Capsules(database, blobs, self.calculator, self.circuits, signatures, self.storage, clock)
        purges = {
            "models": self.model_registry.purge,
            "circuits": self.circuits.purge,
            "datasets": self.datasets.purge,
        }
        self.upkeep = Upkeep(database, clock, Leftovers(blobs), purges)
        self.budgets = Budgets(database, self.costs, clock)
        self.circuit_runs = CircuitRuns(
            database, self.backends, self.calculator, self.costs, clock, settings, self.pauses
        )
        self.executions = Executions(database, self.circuits, self.backends, self.calculator, self.runs.reservations)
        self.circuit_versions = CircuitVersions(self.circuits, self.calculator)
        self.optimisations = Optimisations(self.circuits, self.backends, self.calculator)
        self.circuit_jobs = CircuitJobs(database, self.backends, self.circuit_runs, clock, settings, self.pauses)
        self.models = Models(database, blobs, self.replicas, self.backends, self.costs, clock, settings, self.events)
        self.feeds = Feeds(self.events)
        self.channels = Channels(self.feeds, self.jobs, self.models, self.backends)
        self._pings: dict[str, Ping] = {"database": database.ping, "queue": self.queue.ping, "events": self.events.ping}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        work: bool = True,
        kind: WorkerKind = WorkerKind.SERVER,
        clock: Clock | None = None,
    ) -> AsyncIterator[Appliance]:
        """
        Open everything, in order.

        Args:
            work: Also take jobs, probe backends and serve models. Command-line verbs on an idle data directory do not.
            kind: A worker takes jobs alone: models and circuit jobs are for servers.
            clock: The system's, unless a test brings its own.

        Raises:
            DataDirectoryInUse: Naming the process, host and address that have it.
            ConfigurationInvalid: The data directory cannot be used, or what lies in it.
        """
        clock = clock or SystemClock()
        async with AsyncExitStack() as stack:
            _make_directory(settings)
            stack.enter_context(_locked(settings, kind))
            await asyncio.to_thread(replacement.finish, settings.data_dir)
            if work:
                await asyncio.to_thread(_sweep, settings)
            # Nobody signs in at a worker, so it has nothing to sign with.
            secret = _secret(settings.secret_file) if kind is WorkerKind.SERVER else secrets.token_bytes(32)
            database = await Database.open(settings)
            stack.push_async_callback(database.close)
            if work and settings.is_postgres:
                occupancy = Occupancy(settings)
                await occupancy.take()
                stack.push_async_callback(occupancy.close)
            await database.migrate()
            blobs = _blobs(settings, database)
            appliance = cls(settings, clock, database, blobs, secret)
            stack.callback(appliance.passwords.close)
            stack.push_async_callback(appliance.password_changes.close)
            stack.push_async_callback(appliance.bucket.close)
            stack.push_async_callback(appliance.events.close)
            stack.push_async_callback(appliance.queue.close)
            stack.push_async_callback(appliance.calculator.close)
            stack.push_async_callback(appliance.probes.close)
            stack.push_async_callback(appliance.errands.close)
            stack.push_async_callback(appliance.replicas.close)
            stack.push_async_callback(appliance.models.close)
            stack.push_async_callback(appliance.backends.close)
            stack.push_async_callback(appliance.spending.close)
            stack.push_async_callback(appliance.announcements.close)
            stack.push_async_callback(appliance.feeds.close)
            if work:
                await appliance._start_work(stack, kind)
            yield appliance

    def _reset_link(self, reset_id: str) -> str:
        """Behind the `#`, so that no server, proxy or history writes the secret down."""
        return f"{self.settings.address}{RESET}#{self._reset_stamp.on(reset_id)}"

    def _invitation_link(self, invitation_id: str) -> str:
        return f"{self.settings.address}{INVITATION}#{self._invitation_stamp.on(invitation_id)}"

    async def _month_spend(self, organization_id: str) -> int:
        """Alerts are told of charges by the ledger, and ask it back: one of the two has to come first."""
        return await self.costs.month_spend(organization_id)

    async def ping(self) -> dict[str, str | None]:
        """Every part by name: None where it answers, else a sentence that says what is wrong."""
        names = list(self._pings)
        found = await asyncio.gather(*(self._pinged(self._pings[name]) for name in names))
        return dict(zip(names, found, strict=True))

    async def _pinged(self, ping: Ping) -> str | None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await ping()
        except TimeoutError:
            return f"does not answer within {PING_SECONDS:g} s"
        except QStoreError as error:
            return error.message
        except OSError as error:
            return str(error)
        return None

    async def _start_work(self, stack: AsyncExitStack, kind: WorkerKind) -> None:
        settings = self.settings
        if not settings.queue.url:
            await self.idempotency.reopen()
        directory = _directory_id(settings)
        loop = asyncio.get_running_loop()
        portal = Portal(loop)
        owner = f"{directory}:{socket.gethostname()[:40]}:{os.getpid()}"
        reaper = Reaper(self.runs, self.queue, directory=directory)
        # With several machines a cancel comes through the row; with one it comes through `queue.stop`, at once.
        heartbeat = 1.0 if settings.queue.url else settings.jobs.lease_seconds / 3
        trainer = Trainer(
            self.runs,
            portal,
            self.queue,
            owner=owner,
            heartbeat=heartbeat,
            changed=lambda: portal.post(reaper.tell),
            degraded=lambda backend, reason: portal.post(self.backends.degrade, backend, reason),
        )
        self.queue.run = trainer.run
        slots = Slots(self.queue, settings.jobs.slots)

        async def stop_slots() -> None:
            trainer.stopping.set()
            await asyncio.to_thread(children.give_up_starting, GIVE_UP_SECONDS)
            await slots.close()
            await portal.close()

        await self.workers.start(kind, owner)
        stack.push_async_callback(self.workers.close)
        await reaper.start()
        if settings.jobs.slots and await self.runs.wanted():
            # Nothing takes these as long as the engine, so it is loaded while the rest is opened.
            children.preload()
        if kind is WorkerKind.SERVER:
            await self.models.reopen()
            await self.circuit_runs.start()
            await self.remote_jobs.start()
            await self.outbox.start()
            await self.upkeep.start()
        slots.start()
        await self.announcements.start()
        warm = asyncio.Event()
        # Before anybody can ask: who lists backends that nobody probes waits for all of them.
        await self.backends.start(after=warm.wait)
        stack.push_async_callback(stop_slots)
        stack.push_async_callback(reaper.close)
        stack.push_async_callback(self.circuit_runs.close)
        stack.push_async_callback(self.remote_jobs.close)
        stack.push_async_callback(self.outbox.close)
        stack.push_async_callback(self.upkeep.close)
        warming = asyncio.create_task(self._warm_up(warm, reaper, trainer), name="appliance.warm_up")
        stack.push_async_callback(_cancelled, warming)
        self._pings["slots"] = slots.ping

    async def _warm_up(self, warm: asyncio.Event, reaper: Reaper, trainer: Trainer) -> None:
        """
        Load the engine beside the server, then see which backends work.

        Args:
            warm: Set when probes may begin.
        """
        await asyncio.sleep(PRELOAD_AFTER_SECONDS)
        children.preload()
        with contextlib.suppress(TimeoutError, QStoreError):
            async with asyncio.timeout(TAKE_OVER_SECONDS):
                await self._gone_on(reaper, trainer)
        warm.set()
        # Who submits the first job waits for this one alone.
        await self.backends.probed_once("native")
        children.preload_rest()
        await self.backends.probed()
        with contextlib.suppress(QStoreError):
            # The other machines hear at once what works here; else with the next heartbeat.
            await self.workers.beat()

    async def _gone_on(self, reaper: Reaper, trainer: Trainer) -> None:
        """Wait until the jobs run that an earlier server left: as many of those that may as there are slots."""
        await reaper.looked.wait()
        while len(trainer.children) < self.settings.jobs.slots:
            # In this order: who looks for a job has it among those that start before it is done looking.
            if not trainer.taking and not trainer.starting and not await self.runs.lines.heads(1):
                return
            await asyncio.sleep(TAKE_OVER_LOOK_SECONDS)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _make_directory(settings: Settings) -> None:
    directory = settings.data_dir
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationInvalid(f"{directory}: cannot be made ({error.strerror})") from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationInvalid(f"{directory}: cannot be written to")


def _sweep(settings: Settings) -> None:
    """Delete what a process that was killed was just writing: nobody has this directory now but us."""
    for pattern in (
        "uploads/*",
        "incoming/*",
        "blobs/*/.unfinished-*",
        "datasets/*/.unfinished-*",
        "blob-cache/.unfinished-*",
    ):
        for path in settings.data_dir.glob(pattern):
            with contextlib.suppress(OSError):
                path.unlink()


@contextlib.contextmanager
def _locked(settings: Settings, kind: WorkerKind) -> Iterator[None]:
    """Hold the data directory's lock; the system frees it with the process, however that ends."""
    file = settings.lock_file
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationInvalid(f"{file}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use(settings, descriptor) from error
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "address": settings.address if kind is WorkerKind.SERVER else "no address",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        # Nobody who comes in between shall read of us in a lock that is free.
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _in_use(settings: Settings, descriptor: int) -> DataDirectoryInUse:
    holder: dict[str, object] = {}
    for _ in range(10):
        with contextlib.suppress(ValueError):
            holder = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
        if holder:
            break
        # The holder has locked the file and is just about to write who it is.
        time.sleep(0.02)
    return DataDirectoryInUse(
        f"{settings.data_dir} is in use by another server: process {holder.get('pid', 'unknown')} on "
        f"{holder.get('host', 'an unknown host')}, at {holder.get('address', 'an unknown address')}.",
        details=holder,
    )


def _secret(file: Path, without: str = "everybody signs in again") -> bytes:
    """
    A secret of the installation, made when it is needed first: whoever can read it can act in its place.

    Args:
        without: What it means to lose it.
    """
    try:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as writing:
                writing.write(secrets.token_bytes(32))
                writing.flush()
                os.fsync(writing.fileno())
        content = file.read_bytes()
        mode = file.stat().st_mode & 0o077
    except OSError as error:
        raise ConfigurationInvalid(f"{file}: cannot be read ({error.strerror})") from error
    if mode:
        raise ConfigurationInvalid(f"{file} can be read by others; run: chmod 600 {file}")
    if len(content) < 32:
        raise ConfigurationInvalid(f"{file} is damaged; remove it, and {without}")
    return content


def _provider(settings: Settings) -> Provider | None:
    if not settings.oidc.issuer:
        return None
    # Its libraries take a fifth of a second to import, which only who has a provider waits for.
    from qstore_appliance.deliveries.provider import Provider

    return Provider(settings.oidc, f"{settings.address}{CALLBACK}")


def _blobs(settings: Settings, database: Database) -> FileBlobs | DatabaseBlobs:
    if settings.is_postgres:
        return DatabaseBlobs(database, settings.data_dir / "blob-cache")
    return FileBlobs(settings.blob_dir)


def _directory_id(settings: Settings) -> str:
    """The same for every server of this data directory on this machine, and for no other."""
    place = f"{socket.gethostname()}:{os.path.realpath(settings.data_dir)}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]
