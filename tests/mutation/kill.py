"""Mutation testing: change one thing in a module, and see whether the tests of its room notice.

    python -m tests.mutation.kill                      # all modules, about 20 minutes on two cores
    python -m tests.mutation.kill quantizer bdrate     # these alone

Everything that is not ours is imported once; each mutant is a forked process, in which the tests
run until the first one fails. First come the tests of the module itself, then those of its room.
A mutant that takes ten times as long as the module itself counts as killed. Prints the survivors.
Exit status 1 if fewer than 90 % of a module's mutants are killed.
"""

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType, ModuleType

# Before torch is imported: a process that is forked has one thread.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import pytest
import torch

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
LEAST_KILLED = 0.9
OURS = ("pipeline", "stages", "tests")
OWN_TESTS = {
    "forms": ["coding/test_rate.py"],
    "losses": ["training/test_losses.py"],
    "objections": ["scoring/test_trust.py"],
    "obstacles": ["scoring/test_bdrate.py"],
}
"""Of modules that have no test file of their own name."""
OPTIONS = (
    *("-x", "-q", "-o", "addopts=", "-m", "not slow and not gpu", "--import-mode=importlib"),
    *("-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:timeout", "--no-header"),
)


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its mutated code."""

    def __init__(self, module: str, code: CodeType) -> None:
        self.module, self.code = module, code

    def find_spec(self, name: str, path: object, target: object = None):
        return importlib.util.spec_from_loader(name, self) if name == self.module else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self.code.co_filename
        exec(self.code, module.__dict__)


def modules() -> dict[str, Path]:
    """Return the modules to mutate by name."""
    rooms = [ROOT / "pipeline" / room for room in ("coding", "scoring")]
    files = [file for room in rooms for file in sorted(room.glob("*.py"))]
    files = [file for file in files if file.stem != "__init__"]
    return {file.stem: file for file in [ROOT / "pipeline/training/losses.py", *files]}


def tests_of(file: Path) -> list[str]:
    """Return the tests of a module: its own, then the others of its room."""
    room = ROOT / "tests" / file.parent.name
    own = [ROOT / "tests" / x for x in OWN_TESTS.get(file.stem, [])]
    own = own or [x for x in [room / f"test_{file.stem}.py"] if x.exists()]
    others = [] if file.stem == "losses" else sorted(room.glob("test_*.py"))
    return [str(x) for x in [*own, *(x for x in others if x not in own)]]


def forked(work: Callable[[], int], seconds: float) -> int | None:
    """Return the exit status of `work` in a process of its own; None if it took too long."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        status = 70
        with contextlib.suppress(BaseException):
            status = work()
        os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def run_tests(file: Path, tree: ast.Module) -> int:
    """Return pytest's exit status for the tests of a module with this code in its place."""
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    sys.meta_path.insert(0, _Loader(name, compile(tree, str(file), "exec")))
    return int(pytest.main([*OPTIONS, *tests_of(file)]))


def survivors(file: Path, workers: int) -> tuple[int, list[Mutant]]:
    """Return how many mutants a module has, and those that the tests do not notice."""
    source = file.read_text()
    start = time.monotonic()
    if forked(lambda: run_tests(file, ast.parse(source)), 600) != 0:
        sys.exit(f"the tests of {file} fail without a mutant")
    limit = max(10 * (time.monotonic() - start), 20)
    made = list(mutants(source))

    def lives(mutant: Mutant) -> bool:
        return forked(lambda: run_tests(file, mutant.tree), limit) == 0

    with ThreadPoolExecutor(workers) as pool:
        alive = list(pool.map(lives, made))
    return len(made), [mutant for mutant, lived in zip(made, alive, strict=True) if lived]


def warm_up(files: Sequence[Path]) -> None:
    """Import what the tests import, and forget what is ours."""
    torch.set_num_threads(1)
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        "mutation", derandomize=True, database=None, deadline=None, phases=phases
    )
    hypothesis.settings.load_profile("mutation")
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        pytest.main(["--collect-only", *OPTIONS, *{x for file in files for x in tests_of(file)}])
    for name in [x for x in sys.modules if x.split(".")[0] in OURS and "mutation" not in x]:
        del sys.modules[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = modules()
    parser.add_argument("modules", nargs="*", choices=[[], *known], default=[])
    asked = parser.parse_args().modules or list(known)
    os.chdir(ROOT)
    warm_up([known[name] for name in asked])
    too_few = False
    total = killed = 0
    for name in asked:
        number, alive = survivors(known[name], os.cpu_count() or 1)
        print(f"{name}: {number - len(alive)} of {number} killed", flush=True)
        for mutant in alive:
            print(f"  {name}.py:{mutant.line}  {mutant.change}", flush=True)
        too_few |= number - len(alive) < LEAST_KILLED * number
        total, killed = total + number, killed + number - len(alive)
    print(f"all: {killed} of {total} killed")
    sys.exit(int(too_few))


if __name__ == "__main__":
    main()
