"""The kernels: their own promises beyond the backend contract (determinism, cache, life in a forked child)."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qstore_appliance.engine import kernel_cache, observables
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.program import Program
from qstore_appliance.errors import ConfigurationInvalid
from qstore_backends import native
from qstore_backends.native import Native
from tests.contract.backends.circuits import reference_circuit


def step(batch: int = 21, n_qubits: int = 5, precision: str = "single") -> Execution:
    """A training step whose batch fills no whole number of lanes."""
    program = Program.lower(reference_circuit(n_qubits, 2))
    rng = np.random.default_rng(0)
    readout = (*observables.readout("z+zz", n_qubits), observables.parse("X0 Y1"))
    return Execution(
        program, rng.normal(size=program.n_weights), rng.normal(size=(batch, n_qubits)), readout, precision=precision
    )


def squared(values: np.ndarray) -> np.ndarray:
    return values / len(values)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_results_are_bit_identical_whatever_the_threads(precision: str) -> None:
    """One thread or all, first call or fifth: the same bits."""
    execution = step(precision=precision)
    values, gradient = Native({"threads": 1}).differentiate(execution, squared)

    for options in ({"threads": 2}, {}, {"threads": 64}):
        backend = Native(options)
        for _ in range(3):
            again, gradient_again = backend.differentiate(execution, squared)
            assert np.array_equal(again, values)
            assert np.array_equal(gradient_again, gradient)


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    """A sample alone, in a batch, or at another place of it has the same bits."""
    backend, execution = Native({}), step()
    together = backend.expectations(execution)

    alone = np.array([backend.expectations(replace(execution, features=row[None]))[0] for row in execution.features])

    assert np.array_equal(together, alone)


def test_chunks_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that does not fit into memory at once runs in parts, with the same result."""
    backend, execution = Native({}), step()
    values, gradient = backend.differentiate(execution, squared)
    states = backend.statevector(execution)
    sampled = backend.expectations(replace(execution, shots=100, seed=1))

    monkeypatch.setattr(native, "CHUNK_BYTES", 1)

    again, gradient_again = backend.differentiate(execution, squared)
    assert np.array_equal(again, values)
    assert np.array_equal(gradient_again, gradient)
    assert np.array_equal(backend.statevector(execution), states)
    assert np.array_equal(backend.expectations(replace(execution, shots=100, seed=1)), sampled)


def test_a_loss_may_ask_the_same_backend() -> None:
    """A pullback that runs circuits itself neither blocks nor disturbs the pass that it is part of."""
    backend, execution = Native({}), step()
    _, gradient = backend.differentiate(execution, squared)

    def curious(values: np.ndarray) -> np.ndarray:
        backend.expectations(replace(execution, weights=execution.weights + 1))
        return squared(values)

    assert np.array_equal(backend.differentiate(execution, curious)[1], gradient)


def test_nothing_to_run_is_no_fault() -> None:
    """An empty batch, no observables, and a circuit without weights give empty results."""
    backend, execution = Native({}), step()

    values, gradient = backend.differentiate(replace(execution, features=np.zeros((0, 5))), np.zeros_like)
    assert values.shape == (0, len(execution.observables))
    assert not gradient.any()

    values, gradient = backend.differentiate(replace(execution, observables=()), np.zeros_like)
    assert values.shape == (21, 0)
    assert not gradient.any()


def test_a_diverged_weight_is_seen() -> None:
    """NaN goes in, NaN comes out: fast arithmetic does not hide it."""
    execution = step()
    weights = execution.weights.copy()
    weights[0] = np.nan

    assert np.isnan(Native({}).expectations(replace(execution, weights=weights))).any()


@pytest.mark.parametrize("options", [{"threads": -1}, {"threads": True}, {"threads": "2"}, {"max_qubits": 0}])
def test_wrong_options_name_their_key(options: dict[str, object]) -> None:
    """An option out of range is a configuration fault."""
    with pytest.raises(ConfigurationInvalid, match=next(iter(options))):
        Native(options)


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kernels_run_in_a_child_of_a_preloaded_forkserver(tmp_path: Path) -> None:
    """A child forked from a process that has run every kernel computes what its parent does."""
    (tmp_path / "preload.py").write_text("from qstore_appliance.engine import kernels\nkernels.warm()\n")
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import multiprocessing
            from qstore_appliance.engine.kernel_cache import prepare_environment

            def child(answers):
                import sys
                preloaded = "qstore_appliance.engine.kernels" in sys.modules
                import numba
                from qstore_backends.native import Native
                from tests.unit.engine.test_kernels import squared, step
                _, gradient = Native({}).differentiate(step(), squared)
                answers.put((preloaded, numba.threading_layer(), gradient.tolist()))

            if __name__ == "__main__":
                prepare_environment()
                context = multiprocessing.get_context("forkserver")
                context.set_forkserver_preload(["preload"])
                answers = context.Queue()
                for _ in range(2):
                    process = context.Process(target=child, args=(answers,))
                    process.start()
                    print(answers.get(timeout=100))
                    process.join()
                    assert process.exitcode == 0
            """
        )
    )
    root = str(Path(__file__).parents[3])
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_THREADING_LAYER"}

    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    _, gradient = Native({}).differentiate(step(), squared)
    expected = str((True, "workqueue", gradient.tolist()))
    assert done.stdout.splitlines() == [expected, expected]


def test_the_cache_belongs_to_user_version_and_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory follows XDG_CACHE_HOME, and another processor or another source gets another one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = kernel_cache.cache_directory()
    monkeypatch.setattr(kernel_cache, "_processor", lambda: "another processor")
    elsewhere = kernel_cache.cache_directory()

    assert here.parent == elsewhere.parent == tmp_path / "qstore"
    assert here.name.startswith("kernels-")
    assert here != elsewhere


def test_what_the_caller_set_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An operator who chose a cache or a threading layer keeps it."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "omp")

    assert kernel_cache.prepare_environment() == tmp_path
    assert os.environ["NUMBA_THREADING_LAYER"] == "omp"


def test_an_unwritable_cache_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache cannot be made, kernels live in a private directory for the time being."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("NUMBA_CACHE_DIR")

    directory = kernel_cache.prepare_environment()

    assert directory.parent == tmp_path
    assert directory.stat().st_mode & 0o777 == 0o700


def test_the_environment_is_prepared_without_numba() -> None:
    """Deciding about the cache costs the serving process no heavy import."""
    script = """
        import sys
        from qstore_appliance.engine.kernel_cache import prepare_environment
        prepare_environment()
        print(sorted({"numba", "numpy"} & set(sys.modules)))
    """
    assert run(script).strip() == "[]"


def test_kernels_are_kept_in_the_cache_whoever_imports_them_first(tmp_path: Path) -> None:
    """Without any preparation, importing the kernels decides where they are kept before numba reads its environment."""
    script = """
        from qstore_appliance.engine import kernel_cache, kernels
        print(kernels.work.stats.cache_path.startswith(str(kernel_cache.cache_directory())))
    """
    environment = {"XDG_CACHE_HOME": str(tmp_path), "NUMBA_CACHE_DIR": "", "NUMBA_THREADING_LAYER": ""}

    assert run(script, **environment).strip() == "True"


@pytest.mark.long
def test_an_empty_cache_is_filled_and_used(tmp_path: Path) -> None:
    """The set-up command compiles into the cache; the second run takes what is there."""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    script = """
        import runpy
        runpy.run_module("qstore_appliance.engine.kernels", run_name="__main__")
    """
    first = float(run(script, **environment).split()[-2])
    second = float(run(script, **environment).split()[-2])

    assert list(tmp_path.rglob("*.nbc"))
    assert second < first / 2
