"""Rebuilds the charting library that the pages of wandb-devserver serve.

    python scripts/build_charts.py

Needs Node.js with npm. Writes `_pages/static/vendor/echarts.js` and the licences beside it. To upgrade, change the
versions below, run this, and run the browser tests.
"""

import subprocess
import tempfile
from pathlib import Path

VERSIONS = {"echarts": "6.1.0", "esbuild": "0.28.2"}
"""Apache ECharts is one well-kept library with lines, bands, bars, heatmaps and parallel coordinates."""

TARGET = Path(__file__).parent.parent / "libs/wandb-devserver/src/wandb_devserver/_pages/static/vendor"

# Only what the pages draw: a third of the whole library.
ENTRY = """
import { use } from "echarts/core";
import { BarChart, HeatmapChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
  DataZoomInsideComponent, GridComponent, ParallelComponent, ToolboxComponent, TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";
use([
  BarChart, HeatmapChart, LineChart, ParallelChart, ScatterChart, DataZoomInsideComponent, GridComponent,
  ParallelComponent, ToolboxComponent, TooltipComponent, VisualMapContinuousComponent, CanvasRenderer,
]);
export { init } from "echarts/core";
"""

LICENSED = ("echarts/NOTICE", "echarts/LICENSE", "echarts/licenses/LICENSE-d3", "zrender/LICENSE", "tslib/LICENSE.txt")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "entry.js").write_text(ENTRY)
        packages = [f"{package}@{version}" for package, version in VERSIONS.items()]
        subprocess.run(["npm", "install", "--no-save", "--silent", *packages], cwd=folder, check=True)
        options = ["--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none"]
        built = f"--outfile={TARGET / 'echarts.js'}"
        notice = f"--banner:js=/* Apache ECharts {VERSIONS['echarts']}, Apache-2.0. See LICENSES.txt. */"
        subprocess.run(["npx", "esbuild", "entry.js", *options, notice, built], cwd=folder, check=True)
        modules = folder / "node_modules"
        texts = [f"===== {path} =====\n\n{(modules / path).read_text().strip()}\n" for path in LICENSED]
        (TARGET / "LICENSES.txt").write_text("\n".join(texts))


if __name__ == "__main__":
    main()
