"""Build terraform-provider-aws from the Go proxy: only the services the tests use, everything else as published.

The provider is in no package registry but as Go source, and whole it is 245 services: most of an hour on two cores.
Which services it has is said in two generated files, so those two are cut down to what is kept and what that needs;
no other line is changed. `go` verifies the source by go.sum, beside this file.

    python tests/clients/terraform/provider.py BUILD_DIRECTORY BINARY
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Under its own path the provider's releases are not Go modules (their tags lack the /vN); a fork that follows it is.
# Go's checksum database need not be asked for this version: go.sum has the hash that Crossplane's provider-upjet-aws,
# which is built on it, has published in its own.
MODULE = "github.com/upbound/terraform-provider-aws"
VERSION = "v0.0.0-20241030110634-947d82e10dea"
PROVIDER = "github.com/hashicorp/terraform-provider-aws"
SERVICES = {"iam", "lambda", "meta", "s3", "sts"}

SERVICE_PACKAGES = "internal/provider/service_packages_gen.go"
CLIENTS = "internal/conns/awsclient_gen.go"

_CLIENT = re.compile(r"^func \(c \*AWSClient\) (\w+)\(ctx context\.Context\) \*(\w+)\.Client \{\n.*?^\}\n", re.M | re.S)
_SDK_IMPORT = re.compile(r'^\t(?:(\w+) )?"(github\.com/aws/aws-sdk-go-v2/service/(\w+))"\n', re.M)


def published_source() -> Path:
    """The module as the proxy has it, verified by go.sum; read-only, in Go's module cache."""
    answer = subprocess.run(
        ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(answer.stdout or "{}")
    if answer.returncode or "Dir" not in found:
        raise SystemExit(f"{MODULE}@{VERSION}: {found.get('Error', answer.stderr.strip())}")
    return Path(found["Dir"])


def go_files(*directories: Path) -> list[Path]:
    return [path for directory in directories for path in directory.rglob("*.go") if not path.name.endswith("_test.go")]


def with_what_they_import(source: Path, services: set[str]) -> set[str]:
    """`services` and those whose Go code they use."""
    found: set[str] = set()
    left = set(services)
    while left:
        found |= left
        text = "".join(path.read_text() for name in left for path in go_files(source / "internal/service" / name))
        left = set(re.findall(rf'"{PROVIDER}/internal/service/(\w+)"', text)) - found
    return found


def cut_service_packages(source: Path, kept: set[str]) -> None:
    path = source / SERVICE_PACKAGES
    lines = path.read_text().splitlines(keepends=True)
    named = re.compile(r'/internal/service/(\w+)"|^\t\t(\w+)\.ServicePackage\(ctx\)')
    path.write_text("".join(line for line in lines if not (at := named.search(line)) or (at[1] or at[2]) in kept))


def cut_clients(source: Path, kept: set[str]) -> None:
    """Keep the SDK clients that the kept services, and what all of them share, ask for."""
    shared = [
        path for path in (source / "internal").iterdir() if path.is_dir() and path.name not in ("service", "acctest")
    ]
    text = "".join(
        path.read_text()
        for path in go_files(*shared, *(source / "internal/service" / name for name in kept))
        if path != source / CLIENTS
    )
    path = source / CLIENTS
    asked_for = set(re.findall(r"\.(\w+Client)\b", text))
    generated = _CLIENT.sub(lambda at: at[0] if at[1] in asked_for else "", path.read_text())
    used = set(re.findall(r"\*(\w+)\.Client\b", generated))
    path.write_text(_SDK_IMPORT.sub(lambda at: at[0] if (at[1] or at[3]) in used else "", generated))


def build(directory: Path, binary: Path) -> None:
    left_out = shutil.ignore_patterns("website", "docs", "examples", "infrastructure")
    shutil.copytree(published_source(), directory, ignore=left_out, copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(directory):
        Path(folder).chmod(0o755)  # Go's module cache is read-only, and so is the copy of a folder
    services = with_what_they_import(directory, SERVICES)
    cut_service_packages(directory, services)
    cut_clients(directory, services)
    # A setting of an older Go that newer ones refuse to read.
    subprocess.run(["go", "mod", "edit", "-dropgodebug=tlskyber"], cwd=directory, check=True)
    flags = ["-trimpath", "-ldflags", "-s -w"]
    subprocess.run(["go", "build", *flags, "-o", str(binary.resolve()), "."], cwd=directory, check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
