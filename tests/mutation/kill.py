"""Mutation testing: change one thing in a module, and see whether the tests of its room notice.

    python -m tests.mutation.kill                      # all modules
    python -m tests.mutation.kill quantizer bdrate     # these alone
    python -m tests.mutation.kill --sample 12          # at most 12 of a module, drawn with seed 0

Everything that is not ours is imported once; each mutant is a forked process, in which the tests
run until the first one fails. First come the tests of the module itself, then those of its room.
A mutant that takes 30 s of processor time counts as killed. Prints the survivors.
Exit status 1 if fewer than 90 % of all are killed.
"""

import argparse
import ast
import contextlib
import gc
import importlib.abc
import importlib.util
import os
import random
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType, ModuleType

# Before torch is imported: a process that is forked has one thread.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import pytest
import torch
import torch._dynamo  # what some tests import: once, not in each process

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
LEAST_KILLED = 0.9
LIMIT_SECONDS = 30
"""Of processor time for a mutant; without one the tests of a module take 8 at most."""
OURS = ("pipeline", "stages", "tests")
OWN_TESTS = {
    "forms": ["coding/test_rate.py"],
    "losses": ["training/test_losses.py"],
    "objections": ["scoring/test_trust.py"],
    "obstacles": ["scoring/test_bdrate.py"],
}
"""Of modules that have no test file of their own name."""
SAY_NOTHING = "need_no_torch or needs_neither or compiles or bomb or as_often_as_it_says"
"""Tests of other processes, of the compiler, of memory and of coverage: long, and blind to these
changes."""
OPTIONS = (
    *("-k", f"not ({SAY_NOTHING})"),
    *("-x", "-q", "-o", "addopts=", "-m", "not slow and not gpu", "--import-mode=importlib"),
    *("-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:timeout"),
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),
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


def tests_of(file: Path) -> tuple[list[str], list[str]]:
    """Return the tests of a module: its own, and the others of its room."""
    room = ROOT / "tests" / file.parent.name
    own = [ROOT / "tests" / x for x in OWN_TESTS.get(file.stem, [])]
    own = own or [x for x in [room / f"test_{file.stem}.py"] if x.exists()]
    others = [] if file.stem == "losses" else sorted(room.glob("test_*.py"))
    return [str(x) for x in own], [str(x) for x in others if x not in own]


def forked(work: Callable[[], int]) -> int:
    """Return the exit status of `work` in a process of its own, below 0 if it was killed."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_SECONDS, LIMIT_SECONDS))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        status = 70
        with contextlib.suppress(BaseException):
            status = work()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_tests(file: Path, tree: ast.Module) -> int:
    """Return pytest's exit status for the tests of a module with this code in its place."""
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    sys.meta_path.insert(0, _Loader(name, compile(tree, str(file), "exec")))
    status = 0
    for tests in tests_of(file):
        status = status or (int(pytest.main([*OPTIONS, *tests])) if tests else 0)
    return status


def killed(file: Path, sample: int | None, workers: int) -> tuple[int, int]:
    """Return how many mutants of a module the tests notice, and of how many; print the others."""
    source = file.read_text()
    if forked(lambda: run_tests(file, ast.parse(source))) != 0:
        sys.exit(f"the tests of {file} fail without a mutant")

    def dies(mutant: Mutant) -> bool:
        noticed = forked(lambda: run_tests(file, mutant.tree)) != 0
        if not noticed:
            print(f"  {file.name}:{mutant.line}  {mutant.change}", flush=True)
        return noticed

    made = list(mutants(source))
    drawn = made if sample is None else random.Random(0).sample(made, min(sample, len(made)))
    with ThreadPoolExecutor(workers) as pool:
        noticed = list(pool.map(dies, drawn))
    print(f"{file.stem}: {sum(noticed)} of {len(noticed)} killed, of {len(made)} there are")
    return sum(noticed), len(noticed)


def warm_up(files: Sequence[Path]) -> None:
    """Import what the tests import, and forget what is ours."""
    torch.set_num_threads(1)
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        "mutation", derandomize=True, database=None, deadline=None, phases=phases
    )
    hypothesis.settings.load_profile("mutation")
    tests = {test for file in files for part in tests_of(file) for test in part}
    with Path(os.devnull).open("w") as null, contextlib.redirect_stdout(null):
        pytest.main(["--collect-only", *OPTIONS, *sorted(tests)])
    for name in [x for x in sys.modules if x.split(".")[0] in OURS and "mutation" not in x]:
        del sys.modules[name]
    # A collection in a forked process would copy all memory that it shares.
    gc.collect()
    gc.freeze()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = modules()
    parser.add_argument("modules", nargs="*", choices=[[], *known], default=[])
    parser.add_argument("--sample", type=int)
    options = parser.parse_args()
    asked = options.modules or list(known)
    os.chdir(ROOT)
    warm_up([known[name] for name in asked])
    counts = [killed(known[name], options.sample, os.cpu_count() or 1) for name in asked]
    noticed, made = map(sum, zip(*counts, strict=True))
    print(f"all: {noticed} of {made} killed")
    sys.exit(int(noticed < LEAST_KILLED * made))


if __name__ == "__main__":
    main()
