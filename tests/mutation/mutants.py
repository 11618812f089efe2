"""Mutants of a module: its syntax tree with one small change each.

Changed are comparisons, arithmetic, booleans, numbers, conditions, returned values and statements
that are a call or an addition in place. Left alone are annotations, strings, what is raised, and
constants of a type alias.
"""

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


class Mutant(NamedTuple):
    """A module with one change."""

    line: int
    change: str
    """What was there and what is there now, as source."""
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module's source."""
    tree = ast.parse(source)
    for place, node in enumerate(ast.walk(tree)):
        node.place = place  # type: ignore[attr-defined]
    for node in list(_changeable(tree)):
        for changed in _changes(node):
            mutated = copy.deepcopy(tree)
            # Compiled as it is, so that a traceback names the lines of the file.
            new = ast.fix_missing_locations(ast.copy_location(changed, node))
            mutated = ast.fix_missing_locations(_Put(node.place, new).visit(mutated))
            words = f"{_words(node)} -> {_words(changed)}"
            yield Mutant(node.lineno, words, mutated)


def _words(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else text[:67] + "..."


def _changeable(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that a mutant may change; a function's own annotations are not among them."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise | ast.JoinedStr):
                alias = isinstance(node, ast.Module) and isinstance(child, ast.Assign)
                if alias and isinstance(child.value, ast.BinOp) and _names_only(child.value):
                    continue
                yield from _changeable(child)


def _names_only(node: ast.AST) -> bool:
    return all(isinstance(x, ast.BinOp | ast.Name | ast.BitOr | ast.Load) for x in ast.walk(node))


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, ops, right):
            for i, op in enumerate(ops):
                changed = COMPARISONS[type(op)]()
                yield ast.Compare(left, [*ops[:i], changed, *ops[i + 1 :]], right)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.AugAssign(target, op, value):
            if type(op) in OPERATORS:
                yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.If(ast.Name("TYPE_CHECKING")):
            pass
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()):
            yield ast.Pass()


class _Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, place: int, node: ast.AST) -> None:
        self.place, self.node = place, node

    def visit(self, node: ast.AST) -> ast.AST:
        if getattr(node, "place", None) == self.place:
            return self.node
        return self.generic_visit(node)
