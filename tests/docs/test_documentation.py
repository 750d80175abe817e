"""The documentation is complete and true to the code: every setting, command and error has its paragraph."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from pathlib import Path

import click
import msgspec
import pytest

from pilotlight import cli, errors
from pilotlight.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])
COMMANDS = {name: cli.pilotlight.get_command(click.Context(cli.pilotlight), name) for name in cli.COMMANDS}


def sections(page: str, level: int) -> dict[str, str]:
    """Heading -> text below it, for the headings of `level`."""
    parts = re.split(rf"^#{{{level}}} (.+)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    return {title.strip(): body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def error_classes() -> dict[str, type[errors.AwsError]]:
    found = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.AwsError)]
    return {value.code: value for value in found if value is not errors.AwsError}


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("field", msgspec.structs.fields(Settings), ids=lambda field: field.name)
def test_setting_has_its_paragraph_and_true_default(field: msgspec.structs.FieldInfo) -> None:
    paragraph = sections("settings.md", 3).get(field.name)
    assert paragraph, f"docs/settings.md has no paragraph on {field.name}"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(default, (dict, tuple, list)) or default == "":
        assert paragraph.startswith("Default empty")
    else:
        written = re.match(r"Default `([^`]+)`", paragraph)
        assert written, f"the paragraph on {field.name} does not begin with its default"
        assert json.loads(written[1]) == default


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(sections("settings.md", 3)) == {field.name for field in msgspec.structs.fields(Settings)}


@pytest.mark.parametrize("name", sorted(error_classes()))
def test_error_has_its_paragraph_and_true_status(name: str) -> None:
    paragraph = sections("errors.md", 3).get(name)
    assert paragraph, f"docs/errors.md has no paragraph on {name}"
    statuses = {value.status for value in vars(errors).values() if getattr(value, "code", None) == name}
    assert {int(number) for number in re.findall(r"\b[45]\d\d\b", paragraph.split(".")[0])} == statuses


def test_no_error_is_documented_that_does_not_exist() -> None:
    assert set(sections("errors.md", 3)) == set(error_classes())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_command_is_documented_with_every_option(name: str) -> None:
    text = sections("cli.md", 2).get(f"pilotlight {name}")
    assert text, f"docs/cli.md has no section on pilotlight {name}"
    command = COMMANDS[name]
    assert command is not None and command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert re.search(rf"{re.escape(option)}(?![\w-])", text), f"{option} of {name} is not in docs/cli.md"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for option in re.findall(r"^\| .*?(--[a-z-]+)", text, flags=re.MULTILINE):
        assert option in known, f"docs/cli.md documents {option}, which {name} does not have"


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert {title.removeprefix("pilotlight ") for title in sections("cli.md", 2)} == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_has_help(name: str) -> None:
    for parameter in COMMANDS[name].params:  # type: ignore[union-attr]
        assert not isinstance(parameter, click.Option) or parameter.help, f"{parameter.name} of {name} has no help"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_named_in_the_documentation_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"help", "setup", "demo", "test", "check", "bench", "bench-peers", "lock", "clean"} <= targets
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) <= targets


def test_every_page_is_reachable_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in PAGES:
        if page.name != "README.md":
            assert page.name in readme, f"README.md does not link to {page.name}"


def test_every_room_is_described() -> None:
    rooms = [path.name for path in (ROOT / "src/pilotlight").iterdir() if (path / "__init__.py").exists()]
    for room in rooms:
        assert f"  {room}/ " in (ROOT / "CONTRIBUTING.md").read_text()
        assert f"| `{room}` |" in (DOCS / "design.md").read_text()


def test_the_layers_are_those_that_are_checked() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn = re.search(r"```\n(cli -> .*?)```", (DOCS / "design.md").read_text(), flags=re.DOTALL)
    assert drawn and [layer.strip() for layer in drawn[1].split("->")] == configured


def test_nothing_is_left_to_do() -> None:
    places = [
        *PAGES,
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "examples").rglob("*.py"),
        *(ROOT / "bench").rglob("*.py"),
    ]
    for path in places:
        assert not re.search(r"\b(TODO|FIXME|XXX|TBD)\b", path.read_text()), f"{path.relative_to(ROOT)} has one"


def test_sources_open_with_what_they_are_for() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        assert not text.strip() or text.lstrip().startswith('"""'), f"{path.relative_to(ROOT)} has no opening lines"


def test_changelog_is_for_this_version() -> None:
    from pilotlight import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{__version__}]" in text
