"""Models as signed archives: written, inspected, and taken in where the signature is of somebody who is trusted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from importlib.metadata import version as version_of
from typing import Any, TypeVar

import pydantic
from tortoise.exceptions import IntegrityError

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.models import ModelRow, ModelTagRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.capsules import Inspection, PackedLineage, PackedManifest, PackedModel, Signer, Standing
from qstore_appliance.domain.circuits import CircuitDraft
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.model_registry import Lineage, ModelPatch, version_key
from qstore_appliance.domain.models import Model, ModelStatus
from qstore_appliance.domain.ports import BlobStore, Calculator, Clock
from qstore_appliance.engine import capsule
from qstore_appliance.engine.capsule import Capsule
from qstore_appliance.errors import (
    ArtifactCorrupt,
    Conflict,
    NotFound,
    SignatureInvalid,
    SignerUnknown,
    ValidationFailed,
)
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.circuits import Circuits
from qstore_appliance.services.signatures import ALGORITHM, Signatures
from qstore_appliance.services.storage import Storage
from qstore_appliance.services.texts import refuse_unstorable

DraftType = TypeVar("DraftType", bound=Draft)

#: Reads bytes of strangers, in a process that is not this one.
_DESCRIBE = "qstore_appliance.engine.capsule:described"
_READ_SECONDS = 60.0
#: What forms and clients know of a model comes from its artifact.
_TAKEN = ("task", "n_features", "classes", "feature_names")
_PLAIN = re.compile(r"[^A-Za-z0-9.]+")


class Capsules:
    """
    Args:
        calculator: Reads artifacts.
    """

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        calculator: Calculator,
        circuits: Circuits,
        signatures: Signatures,
        storage: Storage,
        clock: Clock,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._calculator = calculator
        self._circuits = circuits
        self._signatures = signatures
        self._storage = storage
        self._clock = clock
        self._audit = Audit(database, clock)

    async def signer(self, caller: Caller) -> Signer:
        """This installation's key, for others to trust."""
        caller.require("models:read")
        return await asyncio.to_thread(lambda: self._signatures.own)

    async def export(self, caller: Caller, id: str) -> tuple[str, bytes]:
        """
        A model as an archive.

        Returns: a name for the file, and its bytes.

        Raises:
            NotFound: No such model in the caller's organization.
            ArtifactCorrupt: What was stored of it is altered or lost.
        """
        caller.require("models:read")
        found = ModelRow.filter(id=id, organization_id=caller.organization_id, deleted_at=None)
        row = await found.first() if ids.is_id("model", id) else None
        if row is None:
            raise NotFound.of("model", id)
        model = row.to_domain()
        try:
            artifact = await self._blobs.get(model.artifact_digest)
        except NotFound as error:
            raise ArtifactCorrupt("The model's artifact is lost.", details={"digest": model.artifact_digest}) from error
        told = await self._described(artifact)
        content = await asyncio.to_thread(self._packed, model, artifact, told)
        return f"{_PLAIN.sub('-', model.name).strip('-.') or 'model'}-{model.version}.qcap", content

    async def inspect(self, caller: Caller, content: bytes) -> Inspection:
        """
        Whether an archive is whole, and whose it is.

        Raises:
            ValidationFailed, TooLarge: It is none, or one that this version does not read.
            ArtifactCorrupt: A part is not what was signed, or no model's.
            SignatureInvalid: The signature is not of the key that it names.
        """
        caller.require("models:read")
        return (await self._opened(content))[0]

    async def import_from(
        self,
        caller: Caller,
        content: bytes,
        *,
        name: str | None = None,
        version: str | None = None,
        accept: str | None = None,
    ) -> Model:
        """
        Take a model in, with its circuit: its name and version unless others are given, to be deployed like any other.

        Args:
            accept: The fingerprint of a key that the caller trusts for this once.

        Raises:
            SignerUnknown: The key is neither trusted nor accepted.
            Conflict: The organization has this version of this name.
            StorageFull: It would keep more than it may.
            ValidationFailed, TooLarge, ArtifactCorrupt, SignatureInvalid: As of `inspect`.
        """
        caller.require("models:write")
        wished = _valid(ModelPatch, {"name": name, "version": version}, None)
        refuse_unstorable(name=wished.name)
        found, packed, opened, told = await self._opened(content)
        if found.signer.standing is Standing.UNKNOWN and accept != found.signer.fingerprint:
            mark = found.signer.fingerprint
            raise SignerUnknown(
                f"The archive is signed by {mark}, which this installation does not know. Ask whose key that is; then send"
                f" accept={mark}, or let the operator put it into trusted-keys.",
                details={"fingerprint": mark, "public_key": found.signer.public_key},
            )
        artifact = opened.parts[capsule.ARTIFACT]
        await self._storage.require_room(caller.organization_id, len(artifact))
        digest = await self._blobs.put(artifact)
        title, number = wished.name or packed.name, wished.version or packed.version
        imported = {
            "signed_by": found.signer.fingerprint,
            "known_as": found.signer.name,
            "standing": found.signer.standing.value,
            "exported_at": found.exported_at.isoformat(),
            "model_id": packed.id,
            "training_job_id": packed.training_job_id,
            "before": packed.lineage.imported,
        }
        try:
            async with self._database.transaction():
                await self._storage.alone(caller.organization_id)
                await self._storage.require_room(caller.organization_id, len(artifact))
                row = await self._stored(caller, packed, opened, told, title, number, digest, found, imported)
                await self._audit.record(
                    "model.imported",
                    organization_id=caller.organization_id,
                    caller=caller,
                    subject=row.id,
                    signed_by=found.signer.fingerprint,
                    standing=found.signer.standing.value,
                )
        except IntegrityError as error:
            raise Conflict(
                f"Version {number} of {title} is taken; send another name or version.",
                details={"name": title, "version": number},
            ) from error
        return row.to_domain()

    # Inside ------------------------------------------------------------------------------------------------------

    def _packed(self, model: Model, artifact: bytes, told: Mapping[str, Any]) -> bytes:
        lineage = {key: model.lineage.get(key) for key in PackedLineage.model_fields} | {
            "config": model.lineage.get("config") or {}
        }
        parts = {
            "model.json": capsule.written(
                {
                    "id": model.id,
                    "name": model.name,
                    "version": model.version,
                    "notes": model.notes,
                    "tags": model.tags,
                    "task": told["task"],
                    "parameters": model.parameters,
                    "inputs": model.inputs,
                    "lineage": lineage,
                    "training_job_id": Lineage.of(model.lineage, model.training_job_id).training_job_id,
                    "created_at": model.created_at.isoformat(),
                }
            ),
            "circuit.json": capsule.written(told["circuit"]),
            "metrics.json": capsule.written(model.metrics),
            "receipt.json": capsule.written(model.lineage.get("receipt") or {}),
            capsule.ARTIFACT: artifact,
        }
        more = {
            "exported_at": self._clock.now().isoformat(),
            "written_by": f"qstore-appliance {version_of('qstore-appliance')}",
        }
        manifest = capsule.manifest_of(parts, more)
        return capsule.pack(manifest, self._signatures.sign(capsule.SIGNED + manifest), parts)

    async def _opened(self, content: bytes) -> tuple[Inspection, PackedModel, Capsule, dict[str, Any]]:
        opened = await asyncio.to_thread(capsule.read, content)
        signer = await asyncio.to_thread(self._signer_of, opened)
        manifest = _valid(PackedManifest, dict(opened.manifest), capsule.MANIFEST)
        packed = _valid(PackedModel, opened.document("model.json"), "model.json")
        circuit, metrics, receipt = (opened.document(f"{part}.json") for part in ("circuit", "metrics", "receipt"))
        refuse_unstorable(file=[manifest.written_by, packed.model_dump(mode="json"), metrics, receipt])
        artifact = opened.parts[capsule.ARTIFACT]
        told = await self._described(artifact)
        if circuit != told["circuit"]:
            raise ArtifactCorrupt("The archive's circuit is not that of its model.", details={"part": "circuit.json"})
        found = Inspection(
            signer=signer,
            format=manifest.version,
            exported_at=manifest.exported_at,
            written_by=manifest.written_by,
            name=packed.name,
            version=packed.version,
            task=told["task"],
            n_qubits=circuit["n_qubits"],
            n_gates=len(circuit["gates"]),
            classes=told["classes"],
            n_features=told["n_features"],
            metrics=metrics,
            receipt=receipt,
            artifact_digest=f"sha256:{manifest.files[capsule.ARTIFACT]['sha256']}",
            size_bytes=len(content),
        )
        return found, packed, opened, told

    def _signer_of(self, opened: Capsule) -> Signer:
        signature = opened.signature
        signer = self._signatures.verified(opened.signed, signature.get("public_key"), signature.get("signature"))
        if signature.get("algorithm") != ALGORITHM or signer is None:
            raise SignatureInvalid(details={"part": capsule.SIGNATURE})
        return signer

    async def _described(self, artifact: bytes) -> dict[str, Any]:
        found: dict[str, Any] = await self._calculator.call(_DESCRIBE, artifact, timeout=_READ_SECONDS)
        return found

    async def _stored(
        self,
        caller: Caller,
        packed: PackedModel,
        opened: Capsule,
        told: Mapping[str, Any],
        name: str,
        version: str,
        digest: str,
        found: Inspection,
        imported: Mapping[str, Any],
    ) -> ModelRow:
        """Inside the caller's transaction: the circuit that the model answers with, and the model."""
        circuit = await self._circuits.create(
            caller,
            CircuitDraft(
                name=f"{name[:230]} {version}", n_qubits=told["circuit"]["n_qubits"], gates=told["circuit"]["gates"]
            ),
        )
        now = self._clock.now()
        row = await ModelRow.create(
            id=ids.new("model"),
            organization_id=caller.organization_id,
            user_id=caller.user_id,
            name=name,
            version=version,
            version_key=version_key(version),
            circuit_id=circuit.id,
            training_job_id=None,
            status=ModelStatus.TRAINED,
            metrics=found.metrics,
            parameters=packed.parameters,
            # What is asked of the model is what its artifact takes, whatever else was written beside it.
            inputs={**packed.inputs, **{key: told[key] for key in _TAKEN}},
            deployment={"backend": "auto"},
            artifact_digest=digest,
            artifact_bytes=len(opened.parts[capsule.ARTIFACT]),
            notes=packed.notes,
            tags=packed.tags,
            lineage={
                **packed.lineage.model_dump(mode="json"),
                "receipt": found.receipt,
                "circuit": told["circuit"],
                "imported": dict(imported),
            },
            created_at=now,
            updated_at=now,
        )
        tags = [ModelTagRow(organization_id=row.organization_id, tag=tag, model_id=row.id) for tag in set(packed.tags)]
        await ModelTagRow.bulk_create(tags)
        return row


def _valid(draft: type[DraftType], value: dict[str, Any], part: str | None) -> DraftType:
    """
    Args:
        part: The part of the archive that it is; None where the caller wrote it.

    Raises:
        ValidationFailed: Naming the part, or the caller's field.
    """
    try:
        return draft.model_validate(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        message = f"{part}: {place}: {first['msg']}" if part else first["msg"]
        raise ValidationFailed.field("file" if part else place, message[:300]) from error
