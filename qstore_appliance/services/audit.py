"""
The audit log: written in the transaction of the act that it tells of, read by who may, verified by everybody who can.

`Audit.record` is the one door; a service that has a database and a clock makes one. Where a request comes from is known
to the API alone, which says so once for each request with `come_from`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.audit import AuditHeadRow, AuditRow, KeyAddressRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.audit import (
    ACTIONS,
    BEGINNING,
    INSTALLATION,
    AuditFilter,
    ChainState,
    Entry,
    details_of,
    hash_of,
)
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Forbidden
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.texts import storable

#: Whoever acts on the machine itself, through the command line.
HOST = "host"
SORTS = ("seq",)
#: Rows read at a time for a verification or an export.
BATCH = 500
#: Addresses remembered of one key.
MAX_ADDRESSES = 1_000

_address: ContextVar[str] = ContextVar("audit_address", default="")


def come_from(address: str) -> None:
    """What is done from here on in this task is done for a request from this address."""
    _address.set(address[:64])


def origin() -> str:
    """Where what this task does was asked for; empty on the host itself."""
    return _address.get()


class Audit:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(
        self,
        action: str,
        *,
        organization_id: str | None,
        caller: Caller | None = None,
        actor: str | None = None,
        user_id: str = "",
        subject: str = "",
        **details: Any,
    ) -> None:
        """
        Append to an organization's chain, or to the installation's. The last thing inside the act's own transaction:
        either both are written, or neither.

        Args:
            action: One of `ACTIONS`.
            caller: Who did it; without one, `actor` names them, and without that it was the host.
            details: What an auditor wants to know besides; never a secret.
        """
        if action not in ACTIONS:
            raise ValueError(f"{action} is no act of the audit log")
        chain = organization_id or INSTALLATION
        async with self._database.transaction():
            # Whoever appends to this chain waits for the others; on SQLite every transaction is alone.
            await self._database.one_at_a_time(f"audit:{chain}")
            head = await AuditHeadRow.get_or_none(chain=chain)
            entry = Entry(
                id=ids.new("audit"),
                chain=chain,
                seq=head.seq + 1 if head else 1,
                at=self._clock.now(),
                action=action,
                actor=storable(caller.email if caller else actor or HOST, 255),
                user_id=caller.user_id if caller else user_id,
                key_id=(caller.key_id or "") if caller else "",
                address=storable(_address.get(), 64),
                subject=storable(subject, 255),
                details=details_of(details),
                previous=head.hash if head else BEGINNING,
                hash="",
            )
            found = hash_of(entry)
            values = {name: getattr(entry, name) for name in Entry.__struct_fields__} | {"hash": found}
            await AuditRow.create(**values)
            if head is None:
                await AuditHeadRow.create(chain=chain, seq=entry.seq, hash=found)
            else:
                await AuditHeadRow.filter(chain=chain).update(seq=entry.seq, hash=found)

    async def note_address(self, key_id: str, organization_id: str, caller: Caller, place: str) -> None:
        """An entry where a key is used from an address, or IPv6 site, that it never was used from."""
        id = f"{key_id}@{place}"[:120]
        if await KeyAddressRow.exists(id=id):
            return
        async with self._database.transaction():
            await self._database.one_at_a_time(f"addresses:{key_id}")
            if await KeyAddressRow.exists(id=id) or await KeyAddressRow.filter(key_id=key_id).count() >= MAX_ADDRESSES:
                return
            await KeyAddressRow.create(id=id, key_id=key_id, first_used=self._clock.now())
            await self.record(
                "api_key.new_address", organization_id=organization_id, caller=caller, subject=key_id, place=place
            )

    # Reading -----------------------------------------------------------------------------------------------------

    async def listed(
        self, caller: Caller, page: Page, wanted: AuditFilter | None = None, *, installation: bool = False
    ) -> Listed[Entry]:
        """
        The newest entries first, unless sorted otherwise.

        Raises:
            Forbidden: Without `audit:read`; for the installation's chain, without being an operator.
        """
        rows = _filtered(self._chain(caller, installation), wanted or AuditFilter())
        found = await rows.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit)
        return Listed(
            items=[row.to_domain() for row in found], total=await rows.count(), limit=page.limit, offset=page.offset
        )

    async def exported(
        self, caller: Caller, wanted: AuditFilter | None = None, *, installation: bool = False
    ) -> AsyncIterator[Entry]:
        """Every entry that the filter matches, oldest first; errors as in `listed`."""
        chosen = _filtered(self._chain(caller, installation), wanted or AuditFilter())
        last = 0
        while rows := await chosen.filter(seq__gt=last).order_by("seq").limit(BATCH):
            for row in rows:
                yield row.to_domain()
            last = rows[-1].seq

    def _chain(self, caller: Caller, installation: bool) -> QuerySet[AuditRow]:
        caller.require("audit:read")
        if installation and not caller.operator:
            raise Forbidden("Only the operator of this installation reads what belongs to no organization.")
        return AuditRow.filter(chain=INSTALLATION if installation else caller.organization_id)

    # Verifying ---------------------------------------------------------------------------------------------------

    async def verified(self, caller: Caller) -> ChainState:
        """
        Whether the chain of the caller's organization is whole.

        Raises:
            Forbidden: Without `audit:read`.
        """
        caller.require("audit:read")
        return await self.verify(caller.organization_id)

    async def verify_all(self) -> AsyncIterator[ChainState]:
        """Every chain of the installation, for the host's command line."""
        chains = set(await AuditHeadRow.all().values_list("chain", flat=True))
        # A chain whose head was taken away is found by its entries.
        chains |= set(await AuditRow.all().distinct().values_list("chain", flat=True))
        for chain in sorted(str(chain) for chain in chains):
            yield await self.verify(chain)

    async def verify(self, chain: str) -> ChainState:
        """Walk a chain from its beginning to its head."""
        head = await AuditHeadRow.get_or_none(chain=chain)
        count, previous, last = 0, BEGINNING, 0
        while rows := await AuditRow.filter(chain=chain, seq__gt=last).order_by("seq").limit(BATCH):
            for row in rows:
                fault = _fault(row.to_domain(), count + 1, previous)
                if fault is not None:
                    return ChainState(chain=chain, entries=count, head=previous, fault=fault, fault_seq=count + 1)
                count, previous, last = count + 1, row.hash, row.seq
            if head is not None and count >= head.seq:
                # What was appended since is of a later moment.
                break
        fault = None
        if head is None and count:
            fault = "the record of its last entry is missing"
        elif head is not None and (count, previous) != (head.seq, head.hash):
            fault = f"it ends after {count} entries, and had {head.seq}"
        return ChainState(
            chain=chain, entries=count, head=previous, fault=fault, fault_seq=count + 1 if fault is not None else None
        )


def _fault(entry: Entry, expected: int, previous: str) -> str | None:
    if entry.seq != expected:
        return f"entry {expected} is missing"
    if entry.previous != previous:
        return f"entry {expected} does not follow the one before it"
    return None if hash_of(entry) == entry.hash else f"entry {expected} was changed"


def _filtered(rows: QuerySet[AuditRow], wanted: AuditFilter) -> QuerySet[AuditRow]:
    if wanted.action is not None:
        rows = rows.filter(Q(action=wanted.action) | Q(action__startswith=wanted.action + "."))
    for field in ("actor", "subject", "address"):
        value = getattr(wanted, field)
        if value is not None:
            rows = rows.filter(**{field: value})
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(at__lt=wanted.until)
    if wanted.text is not None:
        text = wanted.text
        rows = rows.filter(Q(actor__icontains=text) | Q(subject__icontains=text) | Q(details__icontains=text))
    return rows
