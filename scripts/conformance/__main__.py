"""wandb's own system tests against wandb-devserver: `hatch run conformance:wandb --suite PATH`.

PATH is a checkout of wandb's sources. Arguments that are not listed below go to pytest, such as `-n 4`, `-k sweep` or
`tests/system_tests/test_core`; without a path, the tests that scope.toml names run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from scripts.conformance.results import by_cause, by_directory, format_causes, format_table, read_results, to_json
from scripts.conformance.scope import Scope
from scripts.conformance.workspace import Workspace

NEWEST_SDK = "0.31.0"


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="hatch run conformance:wandb",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--suite", type=Path, required=True, help="a checkout of wandb's sources; only read")
    parser.add_argument("--sdk", default=NEWEST_SDK, help="the version of wandb to test with (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the results (default: in the temporary folder)")
    parser.add_argument("--workdir", type=Path, help="a folder to keep, with logs (default: a temporary one)")
    parser.add_argument(
        "--server-python",
        default=sys.executable,
        help="an interpreter with another version of wandb-devserver, and httpx",
    )
    return parser.parse_known_args()


def main() -> int:
    """Run the tests and print what passed.

    Returns:
        The exit code: 0 if nothing failed.
    """
    options, given = parse()
    scope = Scope.read(options.sdk)
    output = options.json or Path(tempfile.gettempdir()) / f"wandb-conformance-{options.sdk}.json"
    with ExitStack() as stack:
        folder = options.workdir or stack.enter_context(tempfile.TemporaryDirectory(prefix="wandb-conformance-"))
        workspace = Workspace(Path(folder).resolve(), options.sdk)
        workspace.prepare(options.suite, scope)
        with workspace.gateway(options.server_python):
            code = workspace.test(scope.arguments(workspace.suite, given))
        return report(workspace, output) or code


def report(workspace: Workspace, output: Path) -> int:
    """Print the results and write them as JSON; give 1 if a test failed."""
    results = read_results(workspace.report)
    failures = by_cause(results, ("failed", "error"))
    print("\n" + format_table(by_directory(results)))
    print("\n" + format_causes("Causes of failures and errors", failures))
    print("\n" + format_causes("Reasons of skips", by_cause(results, ("skipped",))))
    output.write_text(to_json(results, {"sdk": workspace.sdk}), encoding="utf-8")
    print(f"\nresults: {output}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
