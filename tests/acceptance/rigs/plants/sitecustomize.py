"""
Bugs to be caught. A server that is started with this folder on its PYTHONPATH has the one that `RIG_PLANT` names.

Python imports this file before anything else; each bug is planted into a module of ours when that is imported.
"""

import importlib.abc
import importlib.machinery
import os
import sys


def late_commit(module):
    """SQLite: a commit is acknowledged at once, and done with the next transaction."""
    transaction = module.Transaction
    begin = transaction.begin

    async def lazily(self):
        self._finalized = True

    async def catching_up(self):
        if self._connection.in_transaction:
            await self._connection.commit()
        await begin(self)

    transaction.commit, transaction.begin = lazily, catching_up


def normal_synchronous(module):
    """SQLite does not wait for the disk at each commit."""
    sqlite = module._sqlite

    def hasty(file):
        found = sqlite(file)
        found["credentials"]["synchronous"] = "NORMAL"
        return found

    module._sqlite = hasty


def forgets_checkpoint(module):
    """A job that goes on begins with its first epoch again, and takes all of them for new."""
    plan = module.Runs._plan

    async def forgetful(self, row):
        import msgspec

        from qstore_appliance.database.tables.jobs import JobRow

        await JobRow.filter(id=row.id).update(checkpoint_epoch=0)
        return msgspec.structs.replace(await plan(self, row), checkpoint=None)

    module.Runs._plan = forgetful


def drifts(module):
    """The optimiser forgets its moments when a job goes on."""
    restore = module._Descent._restore

    def partly(self, checkpoint):
        before = self._course.optimizer
        self._course.optimizer = type("Deaf", (), {"restore": lambda self, *state: None})()
        try:
            restore(self, checkpoint)
        finally:
            self._course.optimizer = before

    module._Descent._restore = partly


def charges_twice(module):
    """The end of a job is charged two times."""
    record = module.Costs.record

    async def twice(self, event, **more):
        import msgspec

        from qstore_appliance.domain import ids

        await record(self, event, **more)
        await record(self, msgspec.structs.replace(event, id=ids.new("cost")))

    module.Costs.record = twice


def no_fence(module):
    """Late writes of a worker that lost its lease are taken, also of epochs that are there already."""
    from qstore_appliance.database.tables.jobs import JobRow

    async def mine(self, lease):
        row = await JobRow.get(id=lease.job_id)
        row.checkpoint_epoch = 0
        return row

    async def write(self, lease, **values):
        await JobRow.filter(id=lease.job_id).update(**values)

    async def kept(self, lease):
        return True

    module.Runs._mine, module.Runs._write, module.Runs.heartbeat = mine, write, kept


def deaf_reaper(module):
    """Nobody looks for jobs that lost their message."""

    async def look(self):
        return None

    module.Reaper._look = look


def sends_again(module):
    """A job that goes on knows nothing of what it has sent to its provider."""

    async def since(job_id, epoch):
        return []

    module.since = since


def forgets_alerts(module):
    """What has fired is known only as long as the server lives."""
    charged = module.Alerts.charged

    async def anew(self, organization_id):
        if not vars(self).get("_knows"):
            self._knows = True
            await module.FiredAlertRow.filter(organization_id=organization_id).delete()
        await charged(self, organization_id)

    module.Alerts.charged = anew


def drops_reports(module):
    """What cannot be written at once is not written at all."""
    from qstore_appliance.errors import Unavailable

    def once(self, function, *args):
        try:
            return self._trainer.portal.call(function, *args)
        except Unavailable:
            return None

    module._Run._write = once


def raw_faults(module):
    """Nobody knows what a driver's errors mean."""
    module.translated = lambda error: None


def forgets_deaths(module):
    """Each death of a worker counts as the first."""
    module.MAX_DEATHS = 10**9


def accepts_twice(module):
    """A submission that is repeated under its key makes another job, where the server was killed in between."""

    async def forget(self, *args, **more):
        from qstore_appliance.database.tables.idempotency import IdempotencyRow

        async with self._database.transaction():
            await IdempotencyRow.all().delete()

    module.Idempotency.reopen = forget


PLANTS = {
    "late_commit": ("qstore_appliance.database.sqlite", late_commit),
    "normal_synchronous": ("qstore_appliance.database.connection", normal_synchronous),
    "forgets_checkpoint": ("qstore_appliance.services.runs", forgets_checkpoint),
    "drifts": ("qstore_appliance.engine.training", drifts),
    "charges_twice": ("qstore_appliance.services.costs", charges_twice),
    "no_fence": ("qstore_appliance.services.runs", no_fence),
    "sends_again": ("qstore_appliance.services.remote_jobs", sends_again),
    "forgets_alerts": ("qstore_appliance.services.alerts", forgets_alerts),
    "drops_reports": ("qstore_appliance.work.training", drops_reports),
    "raw_faults": ("qstore_appliance.database.faults", raw_faults),
    "forgets_deaths": ("qstore_appliance.services.endings", forgets_deaths),
    "accepts_twice": ("qstore_appliance.services.idempotency", accepts_twice),
    "deaf_reaper": ("qstore_appliance.work.schedule", deaf_reaper),
}


class Planter(importlib.abc.MetaPathFinder):
    def __init__(self, name, plant):
        self.name, self.plant = name, plant

    def find_spec(self, name, path, target=None):
        if name != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            self.plant(module)

        spec.loader.exec_module = exec_module
        return spec


if os.environ.get("RIG_PLANT"):
    sys.meta_path.insert(0, Planter(*PLANTS[os.environ["RIG_PLANT"]]))
