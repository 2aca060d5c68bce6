"""Every Python code block of the README and of the public docstrings runs, and prints what it says it prints."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import io
import pkgutil
import re
import types
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import lockfree
import reagents

README = Path(__file__).parent.parent / "README.md"
# deviations.md lists what differs, and shows no code.
DOCS = sorted(set((README.parent / "docs").glob("*.md")) - {README.parent / "docs" / "deviations.md"})
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks_of(text: str) -> list[tuple[int, str]]:
    """The fenced Python blocks of a Markdown text, each with its line number."""
    found = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, match.start(1)) + 1, match.group(1)) for match in found]


def run_examples(source: str, name: str, line: int, namespace: dict[str, Any]) -> int:
    """Run a session as a doctest, or anything else as a script; return how many examples there were."""
    if ">>> " not in source:
        exec(compile("\n" * (line - 1) + source, name, "exec"), namespace)
        return 1
    test = doctest.DocTestParser().get_doctest(source, namespace, name, name, line - 1)
    report = io.StringIO()
    failed, tried = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.write, clear_globs=False)
    assert not failed, report.getvalue()
    return tried


def test_readme() -> None:
    """The blocks run in order in one namespace, as a reader would type them."""
    namespace: dict[str, Any] = {"__name__": "readme"}
    blocks = blocks_of(README.read_text(encoding="utf-8"))
    assert len(blocks) >= 3
    with redirect_stdout(io.StringIO()):
        for line, source in blocks:
            if "lockfree.shm" in source and importlib.util.find_spec("cffi") is None:
                print(f"README.md:{line} is left out: lockfree.shm needs cffi, which this interpreter does not have")
                continue
            run_examples(source, "README.md", line, namespace)


@pytest.mark.parametrize("page", DOCS, ids=[page.name for page in DOCS])
def test_documentation(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": page.stem}
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    assert len(blocks) >= 2
    with redirect_stdout(io.StringIO()):
        for line, source in blocks:
            run_examples(source, str(page), line, namespace)


def modules() -> Iterator[types.ModuleType]:
    for package in (reagents, lockfree):
        yield package
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if info.name.endswith("__main__") or ".tour" in info.name:
                continue  # it is run as a program, in a test of its own
            if info.name == "lockfree._shared":
                continue  # cffi made it: no docstrings, and nothing of it is public
            try:
                yield importlib.import_module(info.name)
            except ImportError:
                # shm needs cffi, which some interpreters cannot have; everything else must load.
                if "shm" not in info.name and "_shared" not in info.name:
                    raise


def public_names(module: types.ModuleType) -> list[str]:
    return list(getattr(module, "__all__", ()))


def docstrings() -> Iterator[tuple[str, str, types.ModuleType]]:
    """Of the modules, of their public names, and of the public attributes of public classes, C or Python."""
    seen = set()
    for module in modules():
        yield module.__name__, module.__doc__ or "", module
        for name in public_names(module):
            thing = getattr(module, name)
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if inspect.isroutine(thing) or inspect.isclass(thing):
                yield f"{module.__name__}.{name}", inspect.getdoc(thing) or "", module
            if inspect.isclass(thing):
                for attribute in vars(thing):
                    # A field of a dataclass with slots is described by its class.
                    # So is a plain value: what getdoc finds there describes its type.
                    value = inspect.getattr_static(thing, attribute)
                    is_field = inspect.ismemberdescriptor(value)
                    is_value = not callable(value) and not hasattr(type(value), "__get__")
                    if not attribute.startswith("_") and not is_field and not is_value:
                        text = inspect.getdoc(value) or ""
                        yield f"{module.__name__}.{name}.{attribute}", text, module


DOCSTRINGS = sorted({name: (text, module) for name, text, module in docstrings()}.items())


@pytest.mark.parametrize(("name", "text", "module"), [(n, t, m) for n, (t, m) in DOCSTRINGS if ">>> " in t])
def test_docstring(name: str, text: str, module: types.ModuleType) -> None:
    namespace = {**vars(reagents), **vars(lockfree), **vars(module)}
    assert run_examples(text, name, 1, namespace) > 0


def test_there_are_examples() -> None:
    assert sum(">>> " in text for _, (text, _) in DOCSTRINGS) >= 10


@pytest.mark.parametrize("module", [reagents, lockfree])
def test_everything_public_says_what_it_does(module: types.ModuleType) -> None:
    silent = [name for name, (text, _) in DOCSTRINGS if name.startswith(module.__name__ + ".") and not text.strip()]
    assert not silent
