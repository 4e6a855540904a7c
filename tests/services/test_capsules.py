"""Models in archives: out of one laboratory, into another that trusts it; whatever was changed on the way is refused."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.circuits import CircuitRow
from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.capsules import Standing
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.model_registry import Lineage, ModelFilter, ModelPatch
from qstore_appliance.domain.models import DeploymentDraft, Model, ModelStatus, PredictDraft
from qstore_appliance.domain.storage import THING_BYTES
from qstore_appliance.engine import artifact, capsule
from qstore_appliance.engine.features import Features
from qstore_appliance.errors import (
    ArtifactCorrupt,
    BudgetExceeded,
    Conflict,
    Forbidden,
    NotFound,
    QStoreError,
    SignatureInvalid,
    SignerUnknown,
    StorageFull,
    ValidationFailed,
)
from qstore_appliance.services.capsules import Capsules
from qstore_appliance.services.signatures import Signatures
from qstore_appliance.services.storage import Storage
from qstore_appliance.settings import Limits, Settings
from tests.factories import SteppingClock, ThreadCalculator
from tests.services.laboratory import GATES, INPUTS, Laboratory, make_report, make_trained

RECEIPT = {"task": "classification", "backend": "native", "seed": 7, "dataset": "iris", "dataset_digest": "sha256:1"}
OTHER_SEED = bytes(range(100, 132))


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


@pytest.fixture
def elsewhere(laboratory: Laboratory) -> Capsules:
    """Another installation's, with a key of its own; it has this one's database, which says nothing of keys."""
    return house_of(laboratory, OTHER_SEED)


def house_of(laboratory: Laboratory, seed: bytes, room: int | None = None) -> Capsules:
    """Args: room: Bytes that an organization may keep there."""
    signatures = Signatures(lambda: seed, laboratory.settings.data_dir / "elsewhere")
    settings = laboratory.settings
    if room is not None:
        settings = Settings(data_dir=settings.data_dir, limits=Limits(organization_bytes=room))
    return Capsules(
        laboratory.database,
        laboratory.blobs,
        ThreadCalculator(),
        laboratory.circuits,
        signatures,
        Storage(laboratory.database, settings),
        laboratory.clock,
    )


def artifact_of(**changes: Any) -> bytes:
    x = np.random.default_rng(0).normal(size=(20, 4))
    values: dict[str, Any] = {
        "task": "classification",
        "circuit": {"n_qubits": 2, "format": "unified", "gates": GATES},
        "weights": {"theta_0": 0.1, "theta_1": -2.5},
        "observables": ("Z0", "Z1"),
        "head": "linear",
        "head_parameters": np.arange(9.0),
        "classes": ("setosa", "versicolor", "virginica"),
        "features": Features.fit({"method": "pca", "count": 2}, x, 2),
        "feature_names": ("a", "b", "c", "d"),
        "backend": "native",
        "shots": None,
        "precision": "single",
        "receipt": RECEIPT,
    }
    return artifact.write(artifact.Artifact(**(values | changes)))


async def trained(laboratory: Laboratory, caller: Caller, **changes: Any) -> Model:
    """A model whose artifact is one."""
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())
    done = make_trained(artifact=artifact_of(**changes), receipt=RECEIPT, parameters={"theta_0": 0.1, "theta_1": -2.5})
    id = await laboratory.runs.complete(lease, done, INPUTS)
    assert id is not None
    return await laboratory.models.get(caller, id)


async def exported(laboratory: Laboratory, caller: Caller) -> bytes:
    model = await trained(laboratory, caller)
    return (await laboratory.capsules.export(caller, model.id))[1]


def trust(laboratory: Laboratory, capsules: Capsules, name: str = "delft") -> None:
    """What the operator does with a key that came on paper."""
    folder = laboratory.settings.trusted_keys_dir
    folder.mkdir(parents=True, exist_ok=True)
    signer = capsules._signatures.own
    (folder / f"{name}.pub").write_text(f"ed25519 {signer.public_key} {signer.fingerprint}\n")


def changed(content: bytes, name: str, **changes: Any) -> bytes:
    """The archive with other values in one of its documents, under the same signature and a manifest that fits."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = json.dumps(json.loads(members[name]) | changes).encode()
    signature = json.loads(members.pop(capsule.SIGNATURE))
    manifest = json.loads(members.pop(capsule.MANIFEST))
    if name == capsule.MANIFEST:
        manifest |= changes
    elif name == capsule.SIGNATURE:
        signature |= changes
    members.pop(name, None) if name in (capsule.MANIFEST, capsule.SIGNATURE) else None
    more = {key: manifest[key] for key in ("exported_at", "written_by")}
    return capsule.pack(capsule.manifest_of(members, more), signature, members)


def resigned(content: bytes, capsules: Capsules, name: str, value: bytes) -> bytes:
    """The archive with another part, signed anew by whoever has this key."""
    opened = capsule.read(content)
    parts = dict(opened.parts) | {name: value}
    manifest = capsule.manifest_of(parts, {key: opened.manifest[key] for key in ("exported_at", "written_by")})
    return capsule.pack(manifest, capsules._signatures.sign(capsule.SIGNED + manifest), parts)


async def test_a_model_goes_to_another_laboratory(laboratory: Laboratory, elsewhere: Capsules) -> None:
    """
    Exported there, trusted here, imported: weights bit for bit, circuit, metrics, notes, tags, receipt and version; it is
    deployed and exported like one that was trained here, and the audit log says whose signature it was.
    """
    ada, bob = await laboratory.caller(), await laboratory.caller()
    model = await trained(laboratory, ada)
    await laboratory.model_registry.update(ada, model.id, ModelPatch(notes="ours", tags=["a"], version="1.2.0-rc.1"))
    name, content = await elsewhere.export(ada, model.id)
    trust(laboratory, elsewhere)

    inspected = await laboratory.capsules.inspect(bob, content)
    imported = await laboratory.capsules.import_from(bob, content)

    assert name == "iris-classifier-1.2.0-rc.1.qcap"
    assert (inspected.signer.standing, inspected.signer.name) == (Standing.TRUSTED, "delft")
    assert (inspected.name, inspected.version, inspected.n_qubits, inspected.n_gates) == (
        "iris classifier", "1.2.0-rc.1", 2, len(GATES),
    )  # fmt: skip
    assert inspected.metrics["accuracy"] == 0.9
    got = await laboratory.models.get(bob, imported.id)
    assert (got.name, got.version, got.notes, got.tags) == ("iris classifier", "1.2.0-rc.1", "ours", ["a"])
    assert (got.metrics, got.parameters) == (model.metrics, model.parameters)
    assert (got.status, got.training_job_id, got.artifact_digest) == (ModelStatus.TRAINED, None, model.artifact_digest)
    assert (got.artifact_bytes, got.inputs["examples"]) == (model.artifact_bytes, model.inputs["examples"])
    assert await laboratory.blobs.get(got.artifact_digest) == artifact_of()
    lineage = Lineage.of(got.lineage, got.training_job_id)
    assert (lineage.receipt, lineage.config) == (model.lineage["receipt"], model.lineage["config"])
    assert lineage.training_job_id == model.training_job_id
    assert lineage.imported is not None
    assert (lineage.imported["known_as"], lineage.imported["model_id"]) == ("delft", model.id)
    circuit = await laboratory.circuits.get(bob, got.circuit_id)
    assert (circuit.n_qubits, circuit.gate_count) == (2, len(GATES))
    assert (await laboratory.model_registry.listed(bob, Page(), ModelFilter(tags=("a",)))).total == 1
    assert (await laboratory.models.deploy(bob, got.id, DeploymentDraft())).status == "deployed"
    entry = await AuditRow.get(action="model.imported")
    assert (entry.chain, entry.subject) == (bob.organization_id, got.id)
    assert inspected.signer.fingerprint in entry.details

    again = await laboratory.capsules.inspect(bob, (await laboratory.capsules.export(bob, got.id))[1])
    assert (again.signer.standing, again.receipt, again.artifact_digest) == (
        Standing.OWN, model.lineage["receipt"], model.artifact_digest,
    )  # fmt: skip


async def test_an_unknown_key_is_no_friend(laboratory: Laboratory, elsewhere: Capsules) -> None:
    """A right signature of anybody is shown, not trusted: importing names the key, and takes it where it is named back."""
    ada, bob = await laboratory.caller(), await laboratory.caller()
    model = await trained(laboratory, ada)
    content = (await elsewhere.export(ada, model.id))[1]

    inspected = await laboratory.capsules.inspect(bob, content)
    with pytest.raises(SignerUnknown, match="trusted-keys") as refused:
        await laboratory.capsules.import_from(bob, content)
    mark = inspected.signer.fingerprint

    assert (inspected.signer.standing, inspected.signer.name) == (Standing.UNKNOWN, None)
    assert refused.value.details["fingerprint"] == mark
    own = (await laboratory.capsules.signer(bob)).fingerprint
    for other in (own, "SHA256:", mark[:-1], mark.lower()):
        with pytest.raises(SignerUnknown):
            await laboratory.capsules.import_from(bob, content, accept=other)
    imported = await laboratory.capsules.import_from(bob, content, accept=mark)
    assert imported.lineage["imported"]["standing"] == "unknown"
    assert await CircuitRow.filter(organization_id=bob.organization_id).count() == 1


async def test_trusted_keys_are_files_of_keys(laboratory: Laboratory, elsewhere: Capsules) -> None:
    """Files that hold no key trust nobody, and do not stand in the way of those that do."""
    folder = laboratory.settings.trusted_keys_dir
    folder.mkdir(parents=True)
    key = elsewhere._signatures.own.public_key
    for name, text in {"a": "", "b": "ed25519", "c": f"rsa {key}", "d": f"ed25519 {key[:-4]}", "e": key}.items():
        (folder / f"{name}.pub").write_text(text)
    (folder / "f.pub").write_bytes(b"\xff\xfe")
    (folder / "g.txt").write_text(f"ed25519 {key}")
    (folder / "h.pub").symlink_to(folder / "nowhere")
    ada = await laboratory.caller()
    content = (await elsewhere.export(ada, (await trained(laboratory, ada)).id))[1]

    assert (await laboratory.capsules.inspect(ada, content)).signer.standing is Standing.UNKNOWN
    trust(laboratory, elsewhere, "z")
    assert (await laboratory.capsules.inspect(ada, content)).signer.name == "z"


@pytest.mark.parametrize("field", ["metrics.json", "model.json", "receipt.json", "circuit.json", capsule.MANIFEST])
async def test_a_part_that_was_changed(laboratory: Laboratory, field: str) -> None:
    """Whoever changes a part, and the manifest with it, does not have the key: the signature is wrong."""
    caller = await laboratory.caller()
    content = await exported(laboratory, caller)

    forged = changed(content, field, **({"written_by": "me"} if field == capsule.MANIFEST else {"accuracy": 1.0}))

    for attempt in (laboratory.capsules.inspect(caller, forged), laboratory.capsules.import_from(caller, forged)):
        with pytest.raises(SignatureInvalid):
            await attempt
    assert await ModelRow.all().count() == 1


async def test_a_signature_of_another_key(laboratory: Laboratory, elsewhere: Capsules) -> None:
    """Somebody else's public key beside this signature, another algorithm, half a key: none of them is a signature."""
    caller = await laboratory.caller()
    content = await exported(laboratory, caller)
    other = elsewhere._signatures.own.public_key
    signed = capsule.read(content).signature["signature"]
    flipped = bytearray(base64.b64decode(signed))
    flipped[5] ^= 1

    for changes in (
        {"public_key": other},
        {"public_key": other[:20]},
        {"public_key": None},
        {"public_key": base64.b64encode(bytes(32)).decode()},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": base64.b64encode(flipped).decode()},
        {"signature": signed + "\n"},
        {"signature": ["x"]},
        {"algorithm": "none"},
    ):
        with pytest.raises(SignatureInvalid):
            await laboratory.capsules.import_from(caller, changed(content, capsule.SIGNATURE, **changes))
    assert (await laboratory.capsules.inspect(caller, content)).signer.standing is Standing.OWN


@pytest.mark.parametrize(
    ("part", "value", "kind", "words"),
    [
        ("artifact.npz", b"no model", ArtifactCorrupt, "artifact"),
        ("artifact.npz", artifact_of(circuit={"n_qubits": 1, "gates": [{"type": "H", "targets": [0]}]}), ArtifactCorrupt,
         "circuit"),
        ("circuit.json", b'{"n_qubits":2,"gates":[]}', ArtifactCorrupt, "circuit"),
        ("model.json", b"{}", ValidationFailed, "model.json"),
        ("model.json", b"[1]", ValidationFailed, "model.json"),
        ("metrics.json", b'{"accuracy":NaN}', ValidationFailed, "metrics.json"),
        ("metrics.json", b'{"a":"\\u0000"}', ValidationFailed, "NUL"),
        ("metrics.json", b'{"a":"\\ud800"}', ValidationFailed, "surrogate"),
    ],
)  # fmt: skip
async def test_even_a_friend_sends_nonsense(
    laboratory: Laboratory, elsewhere: Capsules, part: str, value: bytes, kind: type[QStoreError], words: str
) -> None:
    """What a trusted key has signed is read with the same care: a refusal by name, and nothing is stored."""
    caller = await laboratory.caller()
    trust(laboratory, elsewhere)
    content = resigned(await exported(laboratory, caller), elsewhere, part, value)

    with pytest.raises(kind, match=words):
        await laboratory.capsules.import_from(caller, content)

    assert await ModelRow.all().count() == 1


async def test_a_version_that_is_taken(laboratory: Laboratory) -> None:
    """The same model twice is refused, with nothing left behind; under another version or name it comes in."""
    caller = await laboratory.caller()
    content = await exported(laboratory, caller)
    circuits = await CircuitRow.all().count()

    with pytest.raises(Conflict, match=r"1\.0\.0 of iris classifier is taken"):
        await laboratory.capsules.import_from(caller, content)
    assert await CircuitRow.all().count() == circuits
    with pytest.raises(ValidationFailed, match="version"):
        await laboratory.capsules.import_from(caller, content, version="next")
    other = await laboratory.capsules.import_from(caller, content, version="1.0.1")
    named = await laboratory.capsules.import_from(caller, content, name="borrowed")

    assert (other.name, other.version) == ("iris classifier", "1.0.1")
    assert (named.name, named.version) == ("borrowed", "1.0.0")


@pytest.mark.attack("A59")
async def test_there_is_room_for_one_more(laboratory: Laboratory) -> None:
    """Archives fill no disk: where an organization keeps all that it may none comes in, not even beside another one."""
    caller = await laboratory.caller()
    content = await exported(laboratory, caller)
    used = (await laboratory.storage.use(caller.organization_id)).used_bytes
    one = (await ModelRow.get()).artifact_bytes + THING_BYTES
    house, circuits = house_of(laboratory, bytes(range(32)), used + one), await CircuitRow.all().count()

    answers = await asyncio.gather(
        *(house.import_from(caller, content, version=version) for version in ("2.0.0", "3.0.0")), return_exceptions=True
    )

    assert {type(answer) for answer in answers} == {Model, StorageFull}
    assert (await ModelRow.all().count(), await CircuitRow.all().count()) == (2, circuits + 1)
    assert (await laboratory.storage.use(caller.organization_id)).used_bytes == used + one


async def test_a_budget_holds_for_a_model_from_elsewhere(
    database: Database, settings: Settings, clock: SteppingClock
) -> None:
    """It measures as it was trained to, and so much is reserved: what is left for fewer shots is not enough."""
    prices = {"native": {"per_circuit": 0.000001, "per_shot": 0.01}}
    dear = Settings(data_dir=settings.data_dir, database=settings.database, backends=prices)
    laboratory = Laboratory(database, dear, clock)
    caller = await laboratory.caller()
    content = await exported(laboratory, caller)
    taken = await laboratory.capsules.import_from(caller, content, name="borrowed")
    config = taken.lineage["config"] | {"shots": 100}
    await ModelRow.filter(id=taken.id).update(lineage={**taken.lineage, "config": config})
    await laboratory.models.deploy(caller, taken.id, DeploymentDraft())
    row = BudgetRow.filter(organization_id=caller.organization_id)
    await row.update(monthly_limit=(await row.get()).spent + 999_999)

    with pytest.raises(BudgetExceeded):
        await laboratory.models.predict(caller, taken.id, PredictDraft(inputs=[[1.0, 2.0, 3.0, 4.0]]))

    assert laboratory.replicas.asked == []
    await laboratory.close()


async def test_an_archive_carries_no_permissions(laboratory: Laboratory) -> None:
    """Viewers take out and look, not in; a stranger's model is not there; backends stay what the organization allows."""
    ada, stranger = await laboratory.caller(), await laboratory.caller(Role.OWNER, allowed_backends=["qsim"])
    viewer = await laboratory.caller(Role.VIEWER, of=ada)
    model = await trained(laboratory, ada)
    content = (await laboratory.capsules.export(viewer, model.id))[1]

    assert await laboratory.capsules.inspect(viewer, content)
    with pytest.raises(Forbidden):
        await laboratory.capsules.import_from(viewer, content, name="mine")
    for id in (model.id, "nonsense"):
        with pytest.raises(NotFound):
            await laboratory.capsules.export(stranger, id)
    imported = await laboratory.capsules.import_from(stranger, content)
    with pytest.raises(Forbidden, match="native"):
        await laboratory.models.deploy(stranger, imported.id, DeploymentDraft(backend="native"))


async def test_a_model_whose_artifact_is_lost(laboratory: Laboratory) -> None:
    """It cannot be exported, and the answer says so."""
    caller = await laboratory.caller()
    model = await trained(laboratory, caller)
    await laboratory.blobs.delete(model.artifact_digest)

    with pytest.raises(ArtifactCorrupt, match="lost"):
        await laboratory.capsules.export(caller, model.id)


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    """It lies in a file that only its owner reads, the same after a restart; one that others can read is refused."""
    from qstore_appliance.appliance import _secret
    from qstore_appliance.errors import ConfigurationInvalid

    file = tmp_path / "signing.key"
    houses = [Signatures(lambda: _secret(file, "…"), tmp_path) for _ in range(2)]

    assert not file.exists()
    assert houses[0].own == houses[1].own
    assert (file.stat().st_mode & 0o777, len(file.read_bytes())) == (0o600, 32)
    file.chmod(0o644)
    with pytest.raises(ConfigurationInvalid, match="chmod 600"):
        _ = Signatures(lambda: _secret(file, "…"), tmp_path).own
