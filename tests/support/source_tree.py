"""Read the source of our packages: modules, what they import of one another, and their size."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gpu_engine", "pipeline")

_IMPORTS = (ast.Import, ast.ImportFrom)
_FILLERS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True)
class House:
    """Figures of the source tree; ``folders`` maps a folder to its own, the loose files to ``""``.

    A line counts as code unless it is blank, a comment or part of a docstring. An edge is a pair of
    modules of which the first imports the second.
    """

    files: int
    longest: int
    lines: int
    code_lines: int
    import_lines: int
    edges: int
    loose: list[str]
    mutual: list[tuple[str, str]]
    folders: dict[str, "House"]

    @property
    def edges_a_file(self) -> float:
        """Import edges divided by files."""
        return self.edges / self.files

    @property
    def import_share(self) -> float:
        """Share of the lines of code that import."""
        return self.import_lines / self.code_lines


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Map the name of every module to its file."""
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {_name(path.relative_to(root)): path for path in files}


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parsed(path: Path) -> ast.Module:
    """Parse a source file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def own_imports(node: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """Name the modules among ``known`` that the import statements at or below ``node`` import."""
    for statement in ast.walk(node):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, "imports are absolute"
            members = [f"{statement.module}.{alias.name}" for alias in statement.names]
            names = [name if name in known else str(statement.module) for name in members]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def folder(module: str, known: dict[str, Path]) -> str:
    """Return the step that a module belongs to: ``pipeline.market_data``; "" for a command."""
    parts = module.split(".")
    if parts[0] == "gpu_engine" or module in ("pipeline", "pipeline.errors"):
        return ".".join(parts[:1]) if parts[0] == "gpu_engine" else module
    is_package = known[module].name == "__init__.py"
    return ".".join(parts[:2]) if len(parts) > 2 or is_package else ""


def measure(root: Path = ROOT) -> House:
    """Measure the tree at ``root``."""
    known = modules(root)
    graph = {name: set(own_imports(parsed(path), known)) - {name} for name, path in known.items()}
    rooms: dict[str, list[str]] = {}
    for name in known:
        rooms.setdefault(folder(name, known), []).append(name)
    pairs = {
        (folder(name, known), folder(other, known))
        for name, imported in graph.items()
        for other in imported
        if other in known
    }
    mutual = sorted((a, b) for a, b in pairs if a < b and (b, a) in pairs)
    folders = {room: _figures(names, known, graph, [], {}) for room, names in sorted(rooms.items())}
    return _figures(list(known), known, graph, mutual, folders)


def _figures(
    names: list[str],
    known: dict[str, Path],
    graph: dict[str, set[str]],
    mutual: list[tuple[str, str]],
    folders: dict[str, House],
) -> House:
    counts = [_count(known[name]) for name in names]
    loose = [name for name in names if folder(name, known) == ""]
    return House(
        files=len(names),
        longest=max(lines for lines, _, _ in counts),
        lines=sum(lines for lines, _, _ in counts),
        code_lines=sum(code for _, code, _ in counts),
        import_lines=sum(imports for _, _, imports in counts),
        edges=sum(len(graph[name]) for name in names),
        loose=[n.rpartition(".")[2] for n in loose],
        mutual=mutual,
        folders=folders,
    )


@cache
def _count(path: Path) -> tuple[int, int, int]:
    """Lines, lines of code, and lines of code that import."""
    text = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {
        line
        for token in tokens
        if token.type not in _FILLERS
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                code -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    imports = {
        line
        for node in nodes
        if isinstance(node, _IMPORTS)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return text.count("\n"), len(code), len(imports & code)
