"""The second factor of whoever asks."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import identity
from qstore_appliance.api.envelope import created, nothing, success
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import SIGNED_IN, Routes
from qstore_appliance.domain.second_factors import (
    ConfirmationDraft,
    Enrolment,
    EnrolmentDraft,
    RecoveryCodes,
    RemovalDraft,
    SecondFactor,
)

routes = Routes("second-factors")

HOME = "/v1/users/me/second-factor"
FORM = 20_000


@routes.get(HOME, SIGNED_IN, answer=SecondFactor)
async def get(request: Request) -> HTTPResponse:
    """Whether signing in takes a code, and how many recovery codes are left."""
    return success(request, await request.app.ctx.appliance.second_factors.of(request.ctx.caller))


@routes.post(HOME, SIGNED_IN, body=EnrolmentDraft, answer=Enrolment, status=201, body_bytes=FORM, kept=False)
async def enrol(request: Request) -> HTTPResponse:
    """Get a secret for an authenticator. It counts once `/confirm` has seen a code of it."""
    password = body(request, EnrolmentDraft).password
    factors = request.app.ctx.appliance.second_factors
    return created(request, await factors.enrol(request.ctx.caller, password, identity.address(request)))


@routes.post(f"{HOME}/confirm", SIGNED_IN, body=ConfirmationDraft, answer=RecoveryCodes, body_bytes=FORM, kept=False)
async def confirm(request: Request) -> HTTPResponse:
    """Turn it on with a first code; answers the recovery codes, once. Your other sessions end."""
    code = body(request, ConfirmationDraft).code
    codes = await request.app.ctx.appliance.second_factors.confirm(request.ctx.caller, code)
    return success(request, RecoveryCodes(recovery_codes=codes))


@routes.post(f"{HOME}/recovery-codes", SIGNED_IN, body=RemovalDraft, answer=RecoveryCodes, body_bytes=FORM, kept=False)
async def renew_recovery_codes(request: Request) -> HTTPResponse:
    """New recovery codes in place of the old ones."""
    draft = body(request, RemovalDraft)
    codes = await request.app.ctx.appliance.second_factors.renew_recovery_codes(
        request.ctx.caller, draft.password, draft.code, identity.address(request)
    )
    return success(request, RecoveryCodes(recovery_codes=codes))


@routes.post(f"{HOME}/remove", SIGNED_IN, body=RemovalDraft, status=204, body_bytes=FORM, kept=False)
async def remove(request: Request) -> HTTPResponse:
    """Turn it off, with the password and a code."""
    draft = body(request, RemovalDraft)
    await request.app.ctx.appliance.second_factors.remove(
        request.ctx.caller, draft.password, draft.code, identity.address(request)
    )
    return nothing()
