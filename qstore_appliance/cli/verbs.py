"""Every verb of the command line: its words, its sentence, its arguments, and where its code is."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Parser = argparse.ArgumentParser

_ROLES = "viewer, developer, admin, owner, or one that the organization has made"


@dataclass(frozen=True)
class Verb:
    """
    A verb that runs in an open appliance: the running server's, else one of its own.

    The words name its code: `user reset-password` is `reset_password` in `cli/user.py`. That is an async generator of
    JSON values; what a person sees of each is the same name in the module's `SHOW`.
    """

    words: tuple[str, ...]
    help: str
    declare: Callable[[Parser], None]
    #: Makes the data directory where there is none; the other verbs have nothing to do there.
    creates: bool = False
    #: Runs in this process and nowhere else (serve, demo): `run(settings, arguments) -> int` in its module.
    alone: bool = False

    @property
    def module(self) -> Any:
        return import_module(f"qstore_appliance.cli.{self.words[0]}")

    @property
    def name(self) -> str:
        """The function: services say `listed`, `import_from` and `go_on` too, since Python has other uses for the words."""
        last = self.words[-1].replace("-", "_")
        return {"list": "listed", "import": "import_from", "continue": "go_on"}.get(last, last)

    def start(self, appliance: Any, arguments: dict[str, Any]) -> AsyncGenerator[Any, None]:
        started: AsyncGenerator[Any, None] = getattr(self.module, self.name)(appliance, arguments)
        return started

    def show(self, result: Any, arguments: dict[str, Any]) -> None:
        self.module.SHOW[self.name](result, arguments)


def _nothing(parser: Parser) -> None:
    pass


def _listening(parser: Parser) -> None:
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8000)")


def _serve(parser: Parser) -> None:
    _listening(parser)
    parser.add_argument("--tls-cert", metavar="FILE", help="PEM file of the certificate chain: serves HTTPS")
    parser.add_argument("--tls-key", metavar="FILE", help="PEM file of its private key")
    parser.add_argument(
        "--tls-self-signed",
        action="store_true",
        default=None,
        help="serve HTTPS with a certificate made in the data directory, and print its fingerprint",
    )
    parser.add_argument(
        "--insecure-http", action="store_true", default=None, help="allow plain HTTP on an address that is not loopback"
    )


def _worker(parser: Parser) -> None:
    parser.add_argument("--slots", type=int, metavar="N", help="jobs at the same time (default: jobs.slots)")


def _demo(parser: Parser) -> None:
    _listening(parser)
    parser.add_argument("--exit", action="store_true", help="leave when done; status 0 only if everything worked")
    parser.add_argument("--epochs", type=int, metavar="N", help="train for so many epochs (default: the recipe's)")


def _password(parser: Parser) -> None:
    parser.add_argument(
        "--password-file", metavar="FILE", help="file that holds the password; - reads it from standard input"
    )


def _email(parser: Parser) -> None:
    parser.add_argument("--email", required=True, help="the user's e-mail address")


def _init(parser: Parser) -> None:
    _email(parser)
    parser.add_argument("--organization", required=True, metavar="NAME", help="name of the first organization")
    parser.add_argument("--name", help="the user's own name")
    _password(parser)


def _user_create(parser: Parser) -> None:
    _email(parser)
    parser.add_argument("--organization", required=True, metavar="NAME", help="made if there is none of this name")
    parser.add_argument("--role", default="developer", help=_ROLES + " (default developer)")
    parser.add_argument("--name", help="the user's own name")
    _password(parser)


def _user_invite(parser: Parser) -> None:
    _acting(parser)
    _email(parser)
    parser.add_argument("--role", default="developer", help=_ROLES + " (default developer)")


def _user_role(parser: Parser) -> None:
    _user_of(parser)
    parser.add_argument("role", metavar="ROLE", help=_ROLES)


def _user_of(parser: Parser) -> None:
    _acting(parser)
    _email(parser)


def _organization_storage(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the organization's name")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--bytes", type=_bytes, metavar="N", help="let it keep so many bytes")
    limit.add_argument("--default", action="store_true", help="let it keep what limits.organization_bytes says")


def _bytes(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 2**53:
        raise argparse.ArgumentTypeError("must be between 0 and 2^53")
    return number


def _reset_password(parser: Parser) -> None:
    _email(parser)
    _password(parser)
    parser.add_argument("--without-second-factor", action="store_true", help="also take their second factor away")


def _acting(parser: Parser) -> None:
    parser.add_argument("--as", dest="acting", metavar="EMAIL", help="act as this user (default: the operator)")


def _key_create(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("--name", required=True, help="what the key is for")
    parser.add_argument(
        "--scope", dest="scopes", action="append", metavar="SCOPE", help="a permission such as jobs:submit; repeat it"
    )
    parser.add_argument("--environment", default="live", choices=["live", "test", "dev"])
    parser.add_argument("--rate-limit", type=int, metavar="N", help="size of its bucket of requests")
    parser.add_argument("--hours", type=float, metavar="N", help="valid for so long (default: until revoked)")


def _key(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("id", metavar="KEY_ID", help="as key list shows it")


def _page(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (1 to 100)")
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="after so many")


def _circuits(parser: Parser) -> None:
    _page(parser)
    parser.add_argument("--tag", dest="tags", action="append", metavar="TAG", help="only with this tag; repeat it")


def _format(parser: Parser) -> None:
    # Written out again: the list of verbs imports nothing of the house, so that help is quick.
    choices = ["unified", "qstore4", "ionq", "ionq_native", "qasm2", "qasm3"]
    parser.add_argument("--format", choices=choices, default="qasm3", help="how it is written (default qasm3)")


def _circuit_import(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("source", metavar="FILE", help="the circuit; - reads it from standard input")
    parser.add_argument("--name", required=True, help="what the circuit is called")
    parser.add_argument("--tag", dest="tags", action="append", metavar="TAG", help="a tag for it; repeat it")
    _format(parser)


def _circuit_export(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("id", metavar="CIRCUIT_ID", help="as circuit list shows it")
    _format(parser)


def _jobs(parser: Parser) -> None:
    _page(parser)
    parser.add_argument("--status", metavar="A,B", help="only jobs in these states, such as queued,running")


def _job(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("id", metavar="JOB_ID", help="as job list shows it")


def _submit(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument(
        "file", metavar="FILE", help="what POST /v1/jobs takes, as JSON; - reads it from standard input"
    )


def _continue(parser: Parser) -> None:
    _job(parser)
    parser.add_argument("--epochs", type=int, metavar="N", help="so many further (default: what was left, or as many)")


def _logs(parser: Parser) -> None:
    _job(parser)
    parser.add_argument("--lines", type=int, default=100, metavar="N", help="the last so many lines (default 100)")
    parser.add_argument("--level", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="only from this level up")
    parser.add_argument("--follow", action="store_true", help="go on until the job ends")


def _models(parser: Parser) -> None:
    _page(parser)
    parser.add_argument("--name", help="only versions of the model of this name")
    parser.add_argument("--stage", choices=["staging", "production"], help="only models in this stage")
    parser.add_argument("--tag", dest="tags", action="append", metavar="TAG", help="only with this tag; repeat it")


def _model_export(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("id", metavar="MODEL_ID", help="as model list shows it")
    parser.add_argument("--output", metavar="FILE", help="where to (default: its name and version; - standard output)")


def _archived(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("archive", metavar="FILE", help="a .qcap archive")


def _model_import(parser: Parser) -> None:
    _archived(parser)
    parser.add_argument("--name", help="what the model is called here (default: its name)")
    parser.add_argument("--version", help="its version here (default: its version)")
    parser.add_argument(
        "--accept", metavar="FINGERPRINT", help="trust this key for this once, as model verify shows it"
    )


def _import(parser: Parser) -> None:
    parser.add_argument("name", choices=["mnist", "fashion_mnist"])
    parser.add_argument("folder", metavar="FOLDER", help="where its four original idx files lie, gzipped or not")


def _maintenance(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("name", metavar="NAME", nargs="?", help="the backend; left out, shows the windows of all")
    parser.add_argument("--start", metavar="TIME", help="RFC 3339, such as 2025-12-20T02:00:00Z (default: now)")
    parser.add_argument("--end", metavar="TIME", help="the first moment after the window, RFC 3339")
    parser.add_argument("--note", metavar="TEXT", help="what people read beside it")
    parser.add_argument("--clear", action="store_true", help="end the present window and forget the future ones")


def _prices(parser: Parser) -> None:
    _acting(parser)
    parser.add_argument("name", metavar="NAME", nargs="?", help="the backend; left out, all")


def _audit_list(parser: Parser) -> None:
    _page(parser)
    _audited(parser)


def _audit_export(parser: Parser) -> None:
    _acting(parser)
    _audited(parser)
    parser.add_argument("--format", default="jsonl", choices=["jsonl", "csv"])


def _audited(parser: Parser) -> None:
    parser.add_argument("--action", metavar="ACT", help="only this act, such as api_key.created, or family, as api_key")
    parser.add_argument(
        "--installation", action="store_true", help="what belongs to no organization, such as sign-ins of nobody"
    )


def _backup(parser: Parser) -> None:
    parser.add_argument("--output", metavar="FILE", help="the file to make (default: one in DIR/backups)")


def _restore(parser: Parser) -> None:
    parser.add_argument("--input", required=True, metavar="FILE", help="a file that qstore backup made")
    parser.add_argument("--yes", action="store_true", help="yes, replace what is in the data directory")


_ALL = (
    Verb(("serve",), "serve REST, WebSocket and dashboard until stopped", _serve, creates=True, alone=True),
    Verb(
        ("worker",), "take jobs of a server elsewhere, with its Postgres and Redis", _worker, creates=True, alone=True
    ),
    Verb(("worker", "list"), "list the machines that take jobs, with their heartbeats", _page),
    Verb(("demo",), "train a classifier on real images, live, and ask it", _demo, creates=True, alone=True),
    Verb(("init",), "make the first owner, without a browser", _init, creates=True),
    Verb(("migrate",), "bring the database to this version's tables", _nothing, creates=True),
    Verb(("backup",), "put everything into one file, while the server goes on", _backup),
    Verb(("restore",), "put a backup in the place of what is there", _restore, creates=True, alone=True),
    Verb(("user", "create"), "add a user", _user_create),
    Verb(("user", "list"), "list the users of every organization", _nothing),
    Verb(("user", "reset-password"), "give a user a new password", _reset_password),
    Verb(("user", "disable"), "keep a user out of the whole installation", _email),
    Verb(("user", "enable"), "let a user in again who was kept out", _email),
    Verb(("user", "invite"), "print a link that makes somebody a member, once", _user_invite),
    Verb(("user", "role"), "give somebody of your organization another role", _user_role),
    Verb(("user", "remove"), "remove somebody from your organization", _user_of),
    Verb(("organization", "storage"), "show, or set, how much an organization may keep", _organization_storage),
    Verb(("key", "create"), "make an API key", _key_create),
    Verb(("key", "list"), "list API keys", _page),
    Verb(("key", "revoke"), "revoke an API key", _key),
    Verb(("circuit", "import"), "store a circuit that is written in another format, and print its id", _circuit_import),
    Verb(("circuit", "export"), "print a circuit in another format", _circuit_export),
    Verb(("circuit", "list"), "list stored circuits", _circuits),
    Verb(("dataset", "import"), "bring in MNIST or Fashion-MNIST from files on this machine", _import, creates=True),
    Verb(("dataset", "list"), "list data sets", _page),
    Verb(("job", "submit"), "submit a job and print its id", _submit),
    Verb(("job", "list"), "list training jobs", _jobs),
    Verb(("job", "watch"), "watch a job until it ends", _job),
    Verb(("job", "logs"), "print a job's log", _logs),
    Verb(("job", "cancel"), "cancel a job", _job),
    Verb(("job", "pause"), "stop a job at its last checkpoint until it is resumed", _job),
    Verb(("job", "resume"), "let a paused job go on", _job),
    Verb(("job", "continue"), "train an ended job further, in a new one, and print its id", _continue),
    Verb(("job", "replay"), "run an ended job again to compare, and print the new id", _job),
    Verb(("model", "list"), "list models", _models),
    Verb(("model", "export"), "write a model into one signed archive", _model_export),
    Verb(("model", "import"), "take in a model from a signed archive, and print its id", _model_import),
    Verb(("model", "verify"), "check that an archive is whole, and say who signed it", _archived),
    Verb(("model", "key"), "print the public key that archives of this installation are signed with", _acting),
    Verb(("backend", "list"), "list the backends, what they can do and how they do", _acting),
    Verb(("backend", "maintenance"), "set, clear or show a backend's maintenance windows", _maintenance),
    Verb(("backend", "price"), "show what backends cost, in US dollars", _prices),
    Verb(("audit", "verify"), "check that no entry of the audit log was changed, moved or taken out", _nothing),
    Verb(("audit", "list"), "list who did what", _audit_list),
    Verb(("audit", "export"), "print the audit log, oldest entry first", _audit_export),
)
VERBS: dict[tuple[str, ...], Verb] = {verb.words: verb for verb in _ALL}
FAMILIES = {
    "worker": "machines that take jobs",
    "user": "users and their passwords",
    "organization": "organizations and what they may keep",
    "key": "API keys",
    "circuit": "stored circuits",
    "dataset": "data sets",
    "job": "training jobs",
    "model": "trained models, and archives of them",
    "backend": "quantum backends",
    "audit": "who did what",
}
