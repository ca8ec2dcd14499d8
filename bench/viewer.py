"""The viewer on a parquet file of GB class: time of the first page, of other views, and peak memory of its server.

    python -m bench.viewer [ROWS] [--keep FILE]

Writes a dataset of ROWS rows (default 2 million, about 4 GB) row group by row group, starts `streamlit run
data_viewer.py` on it, and looks at it in headless Chromium. Memory is the server's VmHWM. Writes bench/viewer.json for
the full size.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.stamp import stamp

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "viewer.json"
ROWS, ROW_GROUP = 2_000_000, 100_000
FIRST_PAGE, PEAK = 3.0, 1000  # what is asked for: seconds, MB
SOURCES = np.array(["math__deepscaler_preview", "codegen__leetcode2k", "logic__zebra_puzzle_dataset", "stem__web"])
MEAN_LENGTH = 2000  # characters of a prompt


def write_dataset(path: Path, rows: int) -> None:
    """Rows of training's schema with prompts of random words, which compress badly."""
    rng = np.random.default_rng(0)
    letters = "".join(map(chr, rng.integers(97, 123, 200_000)))
    starts, lengths = rng.integers(0, 199_000, 50_000), rng.integers(2, 10, 50_000)
    words = np.array([letters[i:i + n] for i, n in zip(starts, lengths, strict=True)])
    pool = " ".join(words[rng.integers(0, len(words), 8_000_000)])
    writer = None
    for first in range(0, rows, ROW_GROUP):
        table = _row_group(rng, pool, first, min(ROW_GROUP, rows - first))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def _row_group(rng: np.random.Generator, pool: str, first: int, count: int) -> pa.Table:
    lengths = np.minimum(20 * MEAN_LENGTH, 100 + rng.exponential(MEAN_LENGTH - 100, count)).astype(int)
    starts = rng.integers(0, len(pool) - 20 * MEAN_LENGTH, count)
    numbers = range(first, first + count)
    return pa.table({
        "data_source": SOURCES[rng.integers(0, len(SOURCES), count)],
        "prompt": [[{"role": "user", "content": pool[s:s + n]}] for s, n in zip(starts, lengths, strict=True)],
        "ability": ["math"] * count,
        "apply_chat_template": [True] * count,
        "reward_model": [{"style": "rule", "ground_truth": str(i)} for i in numbers],
        "extra_info": [{"index": i, "split": "train"} for i in numbers],
    })  # yapf: disable


def start_server(path: Path) -> tuple[subprocess.Popen, str]:
    """`streamlit run data_viewer.py` on a free port, up but never asked for a page."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "data_viewer.py", "--server.port", str(port), "--"]
    server = subprocess.Popen([*command, "--file-path", str(path)], cwd=ROOT, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=5).close()
            return server, f"http://localhost:{port}/"
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("streamlit does not start")


def peak_mb(process: subprocess.Popen) -> float:
    """The most memory that a process has held."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def look(url: str, rows: int, server: subprocess.Popen) -> dict[str, dict[str, float]]:
    """Seconds until a view's text is on the screen, and the server's peak memory after each."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("bench.viewer: there is no Chromium: apt-get install chromium")
    found = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(300_000)

        def timed(name: str, show: Callable[[], None], text: str) -> None:
            start = time.monotonic()
            show()
            page.get_by_text(text).locator("visible=true").first.wait_for()
            found[name] = {"seconds": round(time.monotonic() - start, 2), "peak_mb": round(peak_mb(server))}
            print(name, found[name], flush=True)
            page.wait_for_function(
                "document.querySelector('[data-testid=stApp]').getAttribute('data-test-script-state') === 'notRunning'")
            assert page.locator("[data-testid=stException]").count() == 0

        timed("first page", lambda: page.goto(url), f"of {rows:,} rows")
        timed("its prompt and lengths", lambda: None, "Lengths of prompts")
        timed("next row", lambda: page.get_by_role("button", name="Next", exact=True).click(), "row 1")
        for name, query, text in (
            ("link to a late row", {"row": rows - 7}, f'"index": {rows - 7}'),
            ("one source", {"source": str(SOURCES[1]), "row": 5}, "Lengths of prompts"),
            ("search that finds one row", {"q": f"{rows - 7}"}, "Lengths of prompts"),
            ("longest first", {"sort": "longest"}, "Lengths of prompts"),
        ):  # yapf: disable
            timed(name, lambda query=query: page.goto(url + "?" + urlencode(query)), text)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="?", type=int, default=ROWS)
    parser.add_argument("--keep", type=Path, help="file to write, and to use again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.keep or Path(folder) / "train.parquet"
        if not path.exists():
            write_dataset(path, arguments.rows)
        server, url = start_server(path)
        try:
            views = look(url, arguments.rows, server)
        finally:
            server.terminate()
            server.wait(10)
        first, peak = views["first page"]["seconds"], max(view["peak_mb"] for view in views.values())
        result = {
            "command": "python -m bench.viewer " + " ".join(sys.argv[1:]),
            "machine": stamp()["machine"],
            "load_average": round(os.getloadavg()[0], 1),  # a shared machine: seconds grow with it
            "rows": arguments.rows,
            "gigabytes": round(path.stat().st_size / 1e9, 2),
            "rows_per_row_group": ROW_GROUP,
            "views": views,
            "passed": first < FIRST_PAGE and peak < PEAK,
        }
    if arguments.rows == ROWS:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
