"""`python -P -m quality.docs.build <results> <site>`: build Data Docs once, in a process of its own that ends afterwards.

Great Expectations' own site builder makes the pages, from suites and results in an ephemeral context; its import takes
seconds and 250 MiB, which nobody should keep for the sake of pages that are rarely read. The site is put together aside and
then takes its place by a rename, so nobody meets half of one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from quality.docs.prepare import STYLE, cleaned, index, newest, renderable

if TYPE_CHECKING:
    from quality.docs.prepare import Written

STATE = "site.json"
_SITE = "tidegate"


def build(results: Path, site: Path) -> dict[str, Any]:
    """Build the site; what it says of itself is in `site.json`.

    Args:
        results: where the result files are.
        site: the folder that it becomes; it is not there yet.

    Raises:
        OSError: if it cannot be written.
    """
    began = time.monotonic()
    partial = site.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    found = list(newest(results))
    built = datetime.now(UTC)
    _render(found, partial)
    entries = [(each, _address(each)) for each in found]
    (partial / "index.html").write_text(index(((e, quote(a)) for e, a in entries if (partial / a).exists()), built))
    for page in (*partial.glob("expectations/**/*.html"), *partial.glob("validations/**/*.html")):
        page.write_text(cleaned(page.read_text(), len(page.relative_to(partial).parts) - 1))
    shutil.copyfile(Path(__file__).with_name(STYLE), partial / STYLE)
    shutil.rmtree(partial / "static", ignore_errors=True)  # fonts and pictures of pages that load them no more
    state = {
        "built_at": built.isoformat(),
        "results": len(found),
        "took_s": round(time.monotonic() - began, 3),
        "peak_bytes": _peak_bytes(),
    }
    (partial / STATE).write_text(json.dumps(state))
    partial.replace(site)
    return state


def _render(found: list[Written], folder: Path) -> None:
    """Let Great Expectations write the pages of suites and results."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.core import RunIdentifier
        from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        context: Any = gx.get_context(mode="ephemeral")
        for name in list(context.variables.data_docs_sites or ()):
            context.delete_data_docs_site(name)
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
        config = {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": store}
        context.add_data_docs_site(site_name=_SITE, site_config=config)
        suites = {each.suite_name: each.suite for each in found}  # the newest of each gate
        for name, suite in suites.items():
            expectations = [each for each in suite.get("expectations", ()) if _is_known(gx, each)]
            context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations, meta=suite.get("meta")))
        for each in found:
            key = ValidationResultIdentifier(
                expectation_suite_identifier=ExpectationSuiteIdentifier(each.suite_name),
                run_id=RunIdentifier(run_name=each.file.stem, run_time=each.at),
                batch_identifier=each.decided["id"],
            )
            context.stores["validation_results_store"].set(
                key, expectationSuiteValidationResultSchema.load(renderable(each))
            )
        context.build_data_docs()


def _is_known(gx: Any, expectation: dict[str, Any]) -> bool:  # noqa: ANN401 (the module)
    """One mistaken expectation must not take the page of its suite along; the console says what is wrong with it."""
    try:
        return bool(gx.ExpectationSuite(name="one", expectations=[dict(expectation)]).expectations)
    except Exception:  # noqa: BLE001 (a suite may be wrong in any way)
        return False


def _address(each: Written) -> str:
    """Where Great Expectations writes a result's page."""
    moment = each.at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"validations/{each.suite_name}/{each.file.stem}/{moment}/{each.decided['id']}.html"


def _peak_bytes() -> int | None:
    """Of this process since it was started: getrusage counts what its parent had at the fork."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


if __name__ == "__main__":
    os.nice(19)
    sys.stdout.write(json.dumps(build(Path(sys.argv[1]), Path(sys.argv[2]))))
