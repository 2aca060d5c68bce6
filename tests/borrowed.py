"""Modules of CPython's own tests, read anew with a type of ours under the name of the built-in one."""

import ast
import importlib.util
import sys
import unittest
from types import ModuleType
from typing import cast

import pytest


class _Displays(ast.NodeTransformer):
    """`{...}` becomes `name({...})`, for displays and comprehensions of that kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kinds = (ast.Dict, ast.DictComp) if name == "dict" else (ast.Set, ast.SetComp)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if not isinstance(node, self.kinds):
            return node
        if isinstance(node, ast.Dict) and None not in node.keys:
            # Pairs: their keys are hashed once.
            pairs = [ast.Tuple([k, v], ast.Load()) for k, v in zip(node.keys, node.values, strict=True) if k]
            node = ast.copy_location(ast.List(list[ast.expr](pairs), ast.Load()), node)
        return ast.copy_location(ast.Call(ast.Name(self.name, ast.Load()), [cast(ast.expr, node)], []), node)


def module_with(name: str, builtin: str, ours: type, but_in: tuple[str, ...] = ()) -> ModuleType:
    """The module `name`, in which `builtin` and its displays mean `ours`; not in the functions `but_in`."""
    spec = importlib.util.find_spec(name) if importlib.util.find_spec("test") else None
    if spec is None or spec.origin is None:
        pytest.skip("this interpreter came without its test suite", allow_module_level=True)
    with open(spec.origin, encoding="utf-8") as f:
        tree = ast.parse(f.read(), spec.origin)
    change = _Displays(builtin)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [n if getattr(n, "name", None) in but_in else change.visit(n) for n in node.body]
    module = ModuleType(f"{name}_with_{ours.__name__}")
    module.__dict__[builtin] = ours
    sys.modules[module.__name__] = module  # unittest and pickle look there
    exec(compile(ast.fix_missing_locations(tree), spec.origin, "exec"), module.__dict__)
    return module


def adopt(case: type, left_out: dict[str, str]) -> type:
    """A class of tests, less those that are left out, each of which prints its reason."""
    left = {name: unittest.skip(why)(getattr(case, name)) for name, why in left_out.items() if hasattr(case, name)}
    return type(case.__name__, (case,), left)
