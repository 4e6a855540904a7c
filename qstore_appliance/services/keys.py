"""API keys: 142 random bits, shown once, kept as SHA-256; never wider than whoever made them."""

from __future__ import annotations

import hashlib
import re
import secrets
import string

from tortoise.expressions import Q

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import ApiKey, ApiKeyDraft, Caller, allows, is_scope
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Conflict, Forbidden, NotFound, ValidationFailed
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.texts import refuse_unstorable
from qstore_appliance.settings import Settings

SHAPE = re.compile(r"qsk_(live|test|dev)_[A-Za-z0-9]{24}")
PREFIX_LENGTH = 12
#: Living ones of a user: each has a bucket of requests of its own.
MAX_KEYS = 100
_ALPHABET = string.ascii_letters + string.digits
_SORTS = ("created_at", "name", "last_used", "expires_at")


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    def __init__(self, database: Database, clock: Clock, settings: Settings, callers: Callers) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._callers = callers
        self._audit = Audit(database, clock)

    async def create(self, caller: Caller, draft: ApiKeyDraft) -> ApiKey:
        """
        Make a key of one's own; `key` is in this answer and nowhere else.

        Raises:
            Conflict: They have as many as anybody may.
            Forbidden: A key may not make keys, nor anybody a key with scopes that they lack.
            ValidationFailed: An unknown scope, or an end in the past.
        """
        caller.require("api-keys:own")
        if caller.key_id is not None:
            raise Forbidden("An API key cannot make API keys. Sign in with a password.")
        refuse_unstorable(name=draft.name)
        for index, scope in enumerate(draft.scopes):
            if not is_scope(scope):
                raise ValidationFailed.field(f"scopes[{index}]", f"there is no permission {scope!r}")
            if not allows(caller.scopes, scope):
                raise Forbidden(f"You cannot give away {scope}: you do not have it.", details={"permission": scope})
        if draft.expires_at is not None and draft.expires_at <= self._clock.now():
            raise ValidationFailed.field("expires_at", "is in the past")
        key = f"qsk_{draft.environment}_{''.join(secrets.choice(_ALPHABET) for _ in range(24))}"
        ceiling = self._settings.limits.key
        async with self._database.transaction():
            living = ApiKeyRow.filter(user_id=caller.user_id, revoked_at=None)
            now = self._clock.now()
            if await living.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now)).count() >= MAX_KEYS:
                raise Conflict(f"You have {MAX_KEYS} API keys already; revoke one.", details={"limit": MAX_KEYS})
            row = await ApiKeyRow.create(
                id=ids.new("key"),
                user_id=caller.user_id,
                organization_id=caller.organization_id,
                key_hash=digest(key),
                key_prefix=key[:PREFIX_LENGTH],
                name=draft.name,
                scopes=list(dict.fromkeys(draft.scopes)),
                environment=draft.environment,
                rate_limit=min(draft.rate_limit or ceiling, ceiling),
                expires_at=draft.expires_at,
            )
            await self._audit.record(
                "api_key.created",
                organization_id=caller.organization_id,
                caller=caller,
                subject=row.id,
                name=draft.name,
                prefix=row.key_prefix,
                scopes=row.scopes,
                rate_limit=row.rate_limit,
            )
        made = row.to_domain()
        return ApiKey(**{name: getattr(made, name) for name in made.__struct_fields__ if name != "key"}, key=key)

    async def listed(self, caller: Caller, page: Page) -> Listed[ApiKey]:
        """One's own keys, or the whole organization's for whoever may `api-keys:*`; revoked ones are gone."""
        caller.require("api-keys:own")
        rows = ApiKeyRow.filter(organization_id=caller.organization_id, revoked_at=None)
        if not caller.may("api-keys:*"):
            rows = rows.filter(user_id=caller.user_id)
        found = await rows.order_by(*order_of(page.sort, _SORTS)).offset(page.offset).limit(page.limit)
        items = [row.to_domain() for row in found]
        return Listed(items=items, total=await rows.count(), limit=page.limit, offset=page.offset)

    async def revoke(self, caller: Caller, id: str) -> None:
        """
        End a key at once.

        Raises:
            NotFound: No such key, or somebody else's and one may only end one's own.
        """
        caller.require("api-keys:own")
        wanted = ApiKeyRow.filter(id=id, organization_id=caller.organization_id, revoked_at=None)
        if not caller.may("api-keys:*"):
            wanted = wanted.filter(user_id=caller.user_id)
        async with self._database.transaction():
            row = await wanted.first() if ids.is_id("key", id) else None
            if row is None:
                raise NotFound.of("API key", id)
            row.revoked_at = self._clock.now()
            await row.save(update_fields=["revoked_at"])
            await self._audit.record(
                "api_key.revoked",
                organization_id=caller.organization_id,
                caller=caller,
                subject=row.id,
                name=row.name,
                owner=row.user_id,
            )
        self._callers.changed(row.user_id)
