"""The checks that need environments of their own: each Python, each package, the lowest versions.

They download packages, so they are not among the tests. ``nox --list`` shows them.
"""

import re
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["packages", "lowest"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
#: The versions of Python in the classifiers; nox skips those that are not installed.
PYTHONS = nox.project.python_versions(PYPROJECT)
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
FEATURES = f"[{','.join(name for name in EXTRAS if name not in {'dev', 'test'})}]"
DIST = ROOT / "dist"

#: What checks the code, and what only it needs. import-linter asks for a newer click.
LINTERS = r"import-linter|mypy|ruff|types-.*"
#: What drives a browser. playwright asks for one exact version of greenlet.
BROWSERS = r"axe-playwright-python|playwright"

#: Tests that use each package that swarm depends on.
SUBSET = (
    "tests/e2e/test_init.py",
    "tests/e2e/test_page.py",
    "tests/e2e/test_report.py",
    "tests/e2e/test_samples.py",
    "tests/packaging",
    "tests/unit/cli",
    "tests/unit/cluster",
    "tests/unit/config",
    "tests/unit/report",
    "tests/unit/sandbox",
)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after ``--`` go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the source distribution, and from it the wheel, into ``dist``; check both."""
    session.install("uv", *_tools("build|twine"))
    for old in DIST.glob("wattics_swarm-*"):
        old.unlink()
    session.run("python", "-m", "build", "--installer", "uv", "--outdir", str(DIST), silent=True)
    session.run("twine", "check", "--strict", *map(str, DIST.glob("wattics_swarm-*")))


@nox.session(python=PYTHONS, requires=["build"])
@nox.parametrize("extras", ["", FEATURES], ids=["base", "extras"])
@nox.parametrize("kind", ["*.whl", "*.tar.gz"], ids=["wheel", "sdist"])
def packages(session: nox.Session, kind: str, extras: str) -> None:
    """Install a package without a compiler, and use it in another folder."""
    (package,) = DIST.glob(kind)
    # Of each package that swarm depends on, only a wheel is taken.
    own = ("--no-binary", "wattics-swarm") if package.suffix == ".gz" else ()
    session.install("--only-binary", ":all:", *own, f"{package}{extras}")
    session.run("uv", "pip", "check")
    _use(session, has_extras=bool(extras))


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run a part of the tests with the lowest version of each package in ``pyproject.toml``."""
    tools = _tools(f"(?!{LINTERS}|{BROWSERS}|wattics-swarm).*")
    session.install("--resolution", "lowest-direct", "-e", f".{FEATURES}", *tools)
    session.run("pytest", "-n", "2", "--dist", "worksteal", *(session.posargs or SUBSET))


@nox.session(python=PYTHONS[0])
def lowest_tools(session: nox.Session) -> None:
    """Run the linters and the browser's tests with the lowest versions of their own packages."""
    pins = [tool.replace(">=", "==") for tool in _tools(f"{LINTERS}|{BROWSERS}")]
    session.install("-e", ".[test]", *pins)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("pytest", "-n", "2", "tests/browser")


def _tools(pattern: str) -> list[str]:
    """Return the requirements of the extra ``test`` whose names match a pattern."""
    named = re.compile(rf"(?:{pattern})(?=[\[>=]|$)")
    return [each for each in EXTRAS["test"] if named.match(each)]


def _use(session: nox.Session, *, has_extras: bool) -> None:
    """Run the installed command in an empty folder; with extras, it also uploads."""
    folder = Path(session.create_tmp()).resolve()
    env = {"WATTICS_PASSWORD": "any", "XDG_STATE_HOME": str(folder / "state")}
    session.chdir(folder)
    session.run("swarm", "--version")
    with (folder / "meters.ini").open("w") as ini:
        csv = ROOT / "sample_data" / "water-m3-hourly.csv"
        session.run("swarm", "init", str(csv), stdout=ini, stderr=None)
    session.run("swarm", "check", "meters.ini", env=env)
    if has_extras:
        upload = ("swarm", "meters.ini", "--restart", "--transport", "curl")
        session.run(*upload, "--report", "run.html", "--page", "0", env=env)
        session.run(*upload, "--cluster", "local", env=env)
