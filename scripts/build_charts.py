"""Rebuilds the charting libraries that the pages of wandb-devserver and the Flyte reports of wandb-runtime contain.

    python scripts/build_charts.py

Needs Node.js with npm. Writes each library as `echarts.js`, with the licences beside it. To upgrade, change the
versions below, run this, and run the browser tests.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

VERSIONS = {"echarts": "6.1.0", "esbuild": "0.28.2"}
"""Apache ECharts is one well-kept library with lines, bands, bars, heatmaps and parallel coordinates."""

LIBS = Path(__file__).parent.parent / "libs"

LICENSED = ("echarts/NOTICE", "echarts/LICENSE", "echarts/licenses/LICENSE-d3", "zrender/LICENSE", "tslib/LICENSE.txt")


@dataclass(frozen=True)
class Library:
    """The parts of Apache ECharts that one package needs: at most two thirds of the whole library."""

    target: Path
    charts: tuple[str, ...]
    components: tuple[str, ...]
    renderer: str
    format: tuple[str, ...]
    """Options of esbuild for the format of the file."""

    @property
    def entry(self) -> str:
        """The module that is bundled."""
        parts = ", ".join((*self.charts, *self.components, self.renderer))
        return f"""
            import {{ use }} from "echarts/core";
            import {{ {", ".join(self.charts)} }} from "echarts/charts";
            import {{ {", ".join(self.components)} }} from "echarts/components";
            import {{ {self.renderer} }} from "echarts/renderers";
            use([{parts}]);
            export {{ init }} from "echarts/core";
        """


PAGES = Library(
    target=LIBS / "wandb-devserver/src/wandb_devserver/_pages/static/vendor",
    charts=("BarChart", "HeatmapChart", "LineChart", "ParallelChart", "ScatterChart"),
    components=(
        "DataZoomInsideComponent",
        "GridComponent",
        "ParallelComponent",
        "ToolboxComponent",
        "TooltipComponent",
        "VisualMapContinuousComponent",
    ),
    renderer="CanvasRenderer",
    format=("--format=esm",),
)

# A report is one HTML document, in which no module can import another: the library is a global there.
REPORTS = Library(
    target=LIBS / "wandb-runtime/src/wandb_runtime/report/static/vendor",
    charts=("BarChart", "LineChart", "ParallelChart"),
    components=("GridComponent", "ParallelComponent", "TooltipComponent"),
    renderer="SVGRenderer",
    format=("--format=iife", "--global-name=wandbReportCharts"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = [f"{package}@{version}" for package, version in VERSIONS.items()]
        subprocess.run(["npm", "install", "--no-save", "--silent", *packages], cwd=folder, check=True)
        for library in (PAGES, REPORTS):
            build(library, folder)


def build(library: Library, folder: Path) -> None:
    """Bundle a library.

    Args:
        library: What to bundle.
        folder: Has the packages installed.
    """
    library.target.mkdir(parents=True, exist_ok=True)
    (folder / "entry.js").write_text(library.entry)
    options = ["--bundle", "--minify", *library.format, "--target=es2022", "--legal-comments=none"]
    built = f"--outfile={library.target / 'echarts.js'}"
    notice = f"--banner:js=/* Apache ECharts {VERSIONS['echarts']}, Apache-2.0. See LICENSES.txt. */"
    subprocess.run(["npx", "esbuild", "entry.js", *options, notice, built], cwd=folder, check=True)
    modules = folder / "node_modules"
    texts = [f"===== {path} =====\n\n{(modules / path).read_text().strip()}\n" for path in LICENSED]
    (library.target / "LICENSES.txt").write_text("\n".join(texts))


if __name__ == "__main__":
    main()
