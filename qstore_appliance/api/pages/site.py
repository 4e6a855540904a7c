"""Every page of the dashboard on one page. All of them live under `/app`; `/` leads there."""

from __future__ import annotations

import json
import shlex

from sanic import Blueprint, Request
from sanic.response import HTTPResponse, redirect

from qstore_appliance.api.pages import assets, entrance, explorers, provider, shell
from qstore_appliance.domain import ids
from qstore_appliance.domain.roles import PERMISSIONS, WHOLE

GET = ("GET", "HEAD")


async def front(request: Request) -> HTTPResponse:
    if request.ctx.caller is None:
        return await shell.to_the_door(request)
    return redirect(entrance.JOBS)


async def jobs(request: Request) -> HTTPResponse:
    caller = request.ctx.caller
    grant = {"grant_type": "password", "email": caller.email if caller else "", "password": "…"}
    # Ready to paste into a shell, whatever characters an e-mail address may have.
    sign_in = shlex.quote(json.dumps(grant, ensure_ascii=False))
    return await shell.inside(request, "jobs.html", "jobs", origin=_origin(request), sign_in=sign_in)


async def job(request: Request, job_id: str) -> HTTPResponse:
    if not ids.is_id("job", job_id):
        return await missing(request, job_id)
    return await shell.inside(request, "job.html", "jobs", id=job_id)


async def models(request: Request) -> HTTPResponse:
    return await shell.inside(request, "models.html", "models")


async def compare(request: Request) -> HTTPResponse:
    return await shell.inside(request, "compare.html", "models")


async def model(request: Request, model_id: str) -> HTTPResponse:
    if not ids.is_id("model", model_id):
        return await missing(request, model_id)
    return await shell.inside(request, "model.html", "models", id=model_id)


async def costs(request: Request) -> HTTPResponse:
    return await shell.inside(request, "costs.html", "costs")


async def people(request: Request) -> HTTPResponse:
    if request.ctx.caller is not None and not request.ctx.caller.may("users:read"):
        return shell.problem(
            request, 403, "Not for you", "Only administrators look after the people of an organization."
        )
    return await shell.inside(request, "people.html", "people", permissions=PERMISSIONS, whole=WHOLE)


async def account(request: Request) -> HTTPResponse:
    return await shell.inside(request, "account.html", "account")


async def missing(request: Request, path: str) -> HTTPResponse:
    """Everything else under `/app`."""
    if request.ctx.caller is None:
        return await shell.to_the_door(request)
    return shell.problem(
        request, 404, "No such page", "The address leads nowhere. A job or model may have been removed."
    )


async def favicon(request: Request) -> HTTPResponse:
    return redirect(assets.assets().address("img/logo.svg"))


def _origin(request: Request) -> str:
    settings = request.app.ctx.settings
    if settings.server.public_url:
        return str(settings.address)
    scheme = "https" if settings.server.tls_certificate else "http"
    return f"{scheme}://{request.headers.get('host', '')}"


blueprint = Blueprint("pages")
blueprint.add_route(front, "/", methods=GET)
blueprint.add_route(front, "/app", methods=GET, name="app")
blueprint.add_route(favicon, "/favicon.ico", methods=GET)
blueprint.add_route(assets.serve, f"{assets.PREFIX}/<digest:str>/<name:path>", methods=GET)
blueprint.add_route(entrance.setup_page, "/app/setup", methods=GET)
blueprint.add_route(entrance.setup, "/app/setup", methods=("POST",), stream=True)
blueprint.add_route(entrance.sign_in_page, "/app/sign-in", methods=GET)
blueprint.add_route(entrance.sign_in, "/app/sign-in", methods=("POST",), stream=True)
blueprint.add_route(entrance.sign_out, "/app/sign-out", methods=("POST",), stream=True)
blueprint.add_route(entrance.forgotten_page, "/app/forgotten", methods=GET)
blueprint.add_route(entrance.reset_page, "/app/reset", methods=GET)
blueprint.add_route(entrance.invitation_page, "/app/invitation", methods=GET)
blueprint.add_route(entrance.switch, "/app/organization", methods=("POST",), stream=True)
blueprint.add_route(provider.depart, "/app/provider", methods=GET)
blueprint.add_route(provider.arrive, "/app/provider/callback", methods=GET)
blueprint.add_route(jobs, "/app/jobs", methods=GET)
blueprint.add_route(job, "/app/jobs/<job_id:str>", methods=GET)
blueprint.add_route(models, "/app/models", methods=GET)
blueprint.add_route(compare, "/app/models/compare", methods=GET)
blueprint.add_route(model, "/app/models/<model_id:str>", methods=GET)
blueprint.add_route(costs, "/app/costs", methods=GET)
blueprint.add_route(people, "/app/people", methods=GET)
blueprint.add_route(explorers.swagger, "/docs", methods=GET)
blueprint.add_route(explorers.redoc, "/redoc", methods=GET)
blueprint.add_route(account, "/app/account", methods=GET)
blueprint.add_route(missing, "/app/<path:path>", methods=GET)


@blueprint.before_server_start
async def read_files(_app: object) -> None:
    """Reads and compresses what pages need before the first of them is asked for."""
    shell.templates()
