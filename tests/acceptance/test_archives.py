"""`qstore model …`: archives between two installations, on an idle directory and on one that a server has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from qstore_appliance.domain.models import Model, ModelStatus
from qstore_appliance.engine import capsule
from qstore_appliance.services.capsules import Capsules
from qstore_appliance.services.signatures import Signatures
from tests.acceptance.processes import only_line
from tests.acceptance.test_verbs import _logging, data_dir, result, verb
from tests.factories import SteppingClock
from tests.services.test_capsules import artifact_of

__all__ = ["_logging", "data_dir"]


def archive(tmp_path: Path) -> tuple[Path, Signatures]:
    """What another laboratory has sent, and the key that it has signed with."""
    signatures = Signatures(lambda: bytes(range(50, 82)), tmp_path / "nobody")
    nothing = cast(Any, None)
    capsules = Capsules(nothing, nothing, nothing, nothing, signatures, nothing, SteppingClock())
    now, content = datetime.now(UTC), artifact_of()
    model = Model(
        id="model_1", organization_id="org_1", user_id="user_1", name="irises", version="3.1.0", circuit_id="circuit_1",
        training_job_id="job_1", status=ModelStatus.TRAINED, metrics={"accuracy": 0.9}, parameters={}, inputs={},
        deployment={}, artifact_digest="", artifact_bytes=len(content), created_at=now, deployed_at=None, updated_at=now,
    )  # fmt: skip
    file = tmp_path / "sent.qcap"
    file.write_bytes(capsules._packed(model, content, capsule.described(content)))
    return file, signatures


def test_a_model_comes_and_goes(data_dir: Path, tmp_path: Path) -> None:
    """
    An archive of strangers is shown and not taken in, one whose key the operator trusts is; it goes out again under this
    installation's key, into a file that is not there yet.
    """
    file, signatures = archive(tmp_path)
    mark, here = signatures.own.fingerprint, ("--data-dir", data_dir)

    shown = verb("model", "verify", file, *here)
    refused = verb("model", "import", file, *here)
    (data_dir / "trusted-keys").mkdir()
    (data_dir / "trusted-keys" / "delft.pub").write_text(f"ed25519 {signatures.own.public_key}\n")
    trusted = verb("model", "verify", file, *here)
    imported = verb("model", "import", file, "--name", "theirs", *here)
    id = imported.stdout.strip()
    (listed,) = result("model", "list", "--name", "theirs", *here)
    target = tmp_path / "out.qcap"
    exported = verb("model", "export", id, "--output", target, *here)
    again = verb("model", "export", id, "--output", target, *here)
    own = verb("model", "verify", target, *here)
    key = verb("model", "key", *here).stdout.split()

    assert f"a key that this installation does not know: {mark}" in shown.stdout
    assert "irises 3.1.0: classification, 2 qubits, 5 gates" in shown.stdout
    assert refused.returncode == 1
    assert f"accept={mark}" in only_line(refused.stderr)
    assert f"signed by delft, whom this installation trusts: {mark}" in trusted.stdout
    assert imported.returncode == 0, imported.stderr
    assert [(row["id"], row["version"], row["stage"]) for row in listed["items"]] == [(id, "3.1.0", None)]
    assert exported.returncode == 0, exported.stderr
    assert again.returncode == 3
    assert "is there already" in only_line(again.stderr)
    assert f"signed by this installation: {key[2]}" in own.stdout
    assert (key[0], mark != key[2]) == ("ed25519", True)
    assert capsule.read(target.read_bytes()).parts[capsule.ARTIFACT] == artifact_of()
    (data_dir / "trusted-keys" / "delft.pub").unlink()
    (data_dir / "trusted-keys").rmdir()


def test_what_is_no_archive(data_dir: Path, tmp_path: Path) -> None:
    """A file that is damaged, that is none or that is not there is one line and exit code 1; so is an unknown model."""
    file, _ = archive(tmp_path)
    content = file.read_bytes()
    damaged, ended, none = (tmp_path / name for name in ("damaged", "ended", "none"))
    damaged.write_bytes(content.replace(b'"accuracy":0.9', b'"accuracy":1.9'))
    ended.write_bytes(content[:-30])

    for words, expected in (
        (("verify", damaged), "metrics.json"),
        (("verify", ended), "no .qcap archive"),
        (("import", none), f"{none}: cannot be read"),
        (("export", "model_00000000000000000000000000"), "No model with this id."),
    ):
        ended_verb = verb("model", *words, "--data-dir", data_dir)
        assert ended_verb.returncode == 1
        assert expected in only_line(ended_verb.stderr)
