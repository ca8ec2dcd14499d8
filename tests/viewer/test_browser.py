"""The viewer in headless Chromium. Screenshots go to $VIEWER_SCREENSHOTS, else to the test's temporary folder."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
pytestmark = pytest.mark.timeout(600)  # the first test that needs a run makes it
WAIT = 60_000  # ms; the cores may be shared


@pytest.fixture(scope="module")
def server(table_file, tmp_path_factory):
    """The command of the README, on a wandb table; yields its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "streamlit", "run", "data_viewer.py", "--server.port", str(port), "--",
               "--source-type", "wandb_table", "--file-path", str(table_file)]  # yapf: disable
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait_until_up(process, f"http://localhost:{port}/_stcore/health", log)
        yield f"http://localhost:{port}/"
    finally:
        process.terminate()
        process.wait(10)
    assert "Traceback" not in log.read_text()


def _wait_until_up(process, url, log):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Screen:
    """A page of the viewer, and everything that it asked the network for."""

    def __init__(self, page, server, folder):
        self.page, self._server, self._folder, self.requests, self.dialogs = page, server, folder, [], []
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def open(self, **query):
        self.page.goto(self._server + "?" + urlencode({k: str(v) for k, v in query.items()}))
        return self.settle()

    def settle(self):
        """Waits until the script has run; no page may show an exception."""
        self.page.wait_for_selector("[data-testid=stSidebar]")
        self.page.wait_for_function("""() => {
            const state = document.querySelector('[data-testid=stApp]').getAttribute('data-test-script-state');
            return state === 'notRunning' && !document.querySelector('[data-stale=true]') }""")
        assert self.page.locator("[data-testid=stException]").count() == 0
        return self

    def sees(self, text):
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def box(self, label):
        return self.page.get_by_role("combobox", name=re.compile(label)).first

    def selected(self, label, option):
        """Waits until a select box shows an option."""
        playwright.expect(self.box(label)).to_have_value(option, timeout=WAIT)

    def choose(self, label, option):
        self.box(label).click()
        self.page.get_by_role("option", name=option).first.click()
        return self.settle()

    def type(self, label, text):
        field = self.page.get_by_label(label, exact=False).first
        field.fill(text)
        field.press("Enter")
        return self

    def click(self, key):
        """Presses a button, found by its key: names repeat, and while a page is drawn the first of them changes."""
        self.page.locator(f".st-key-{key} button").click()
        return self

    @property
    def query(self):
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    def has_query(self, **wanted):
        """Waits until the URL says so."""
        for name, value in wanted.items():
            self.page.wait_for_function("([name, value]) => new URLSearchParams(location.search).get(name) === value",
                                        arg=[name, value])  # yapf: disable
        return self.settle()

    def shoot(self, name):
        self.page.wait_for_timeout(300)  # charts and tables draw after the script
        self.page.screenshot(path=self._folder / f"{name}.png")


@pytest.fixture
def screen(browser, server, tmp_path):
    folder = Path(os.environ.get("VIEWER_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1500, "height": 1200})
    screen = Screen(page, server, folder)
    yield screen
    assert page.title() == "Reasoning360"  # no script of a model's ran
    assert screen.dialogs == []
    assert {urlsplit(url).netloc for url in screen.requests if url.startswith("http")} == {urlsplit(server).netloc}
    assert page.locator("main img, main iframe, main script, main a[href^=javascript]").count() == 0
    page.close()


def test_the_seed_command_opens_a_wandb_table(screen, table_file):
    screen.open().sees("Step 20")
    screen.selected("^Prompt", re.compile(r"^Example 1 - \(0.5\)"))
    screen.shoot("table")
    screen.click("next_answer").has_query(sample="1").sees("<script>document.title")
    screen.shoot("table_script")
    screen.choose("^Step|Step$", "10").has_query(step="10").sees("Step 10")
    screen.type("Search in prompts", "the very end").has_query(q="the very end")
    screen.selected("^Prompt", re.compile(r"^Example 1 - \(–\)"))
    link = screen.page.url
    screen.open()
    screen.page.goto(link)
    screen.settle().sees("Shown are 50,000 of")
    screen.shoot("table_link")


def test_run_page_and_on_to_samples(screen, run_dir):
    screen.open(path=run_dir, smooth=0.5).sees("critic/score/mean")
    playwright.expect(
        screen.page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")).to_have_count(5)
    screen.sees("Time per phase")
    screen.shoot("run")
    screen.click("show_validation").has_query(page="Rollouts", set="validation").sees("Step 4")


def test_rollouts_filter_search_walk_and_link(screen, run_dir):
    screen.open(path=run_dir, page="Rollouts").sees("Step 4")
    screen.shoot("rollouts")
    screen.click("next_prompt").has_query(prompt="1").sees("Prompt 1: what is 2+2?")
    screen.choose("^Status|Status$", "crash").has_query(status="crash")
    screen.page.keyboard.press("Escape")
    screen.selected("^Answer", re.compile("Answer 1 - .* crash"))
    screen.selected("^Prompt", "Example 2 - (0) · prompt 1 · code")  # of the answers that pass the filter
    screen.sees("still code")  # a fence that is never closed
    assert screen.page.locator("main b", has_text="bold").count() == 0
    screen.shoot("rollouts_fences")
    link = screen.page.url
    screen.open(path=run_dir, page="Rollouts", q="the very end").sees("Shown are 50,000 of 1,048,604 characters")
    screen.shoot("rollouts_long")
    screen.page.get_by_text("Raw text", exact=True).click()
    screen.has_query(raw="1").sees("Part, of 6")
    screen.shoot("rollouts_raw")
    screen.page.goto(link)
    screen.settle().selected("^Answer", re.compile("Answer 1 - .* crash"))
    assert (screen.query["prompt"], screen.query["status"]) == ("1", "crash")


def test_math_is_typeset_and_links_are_not_links(screen, run_dir):
    screen.open(path=run_dir, page="Rollouts", sample=0)
    playwright.expect(screen.page.locator("main .katex").first).to_be_visible(timeout=WAIT)
    screen.sees("costs $5 and $6")
    screen.open(path=run_dir, page="Rollouts", sample=2).sees("[click](javascript:")
    assert screen.page.locator("main a[href*=example], main a[href*='127.0.0.1:9']").count() == 0
    screen.shoot("rollouts_links")


def test_dataset_filter_search_walk_and_link(screen, dataset_file):
    screen.open(path=dataset_file, row=77).sees("Question 77")
    screen.sees("truth-77")
    screen.shoot("dataset")
    screen.click("next_row").has_query(row="78").sees("truth-78")
    screen.choose("^Source|Source$", "code (44)").has_query(source="code").sees("of 130 rows")
    screen.page.keyboard.press("Escape")
    screen.type("Search in prompts", "truth-99").has_query(q="truth-99", row="99").sees("Question 99")
    screen.shoot("dataset_search")


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """scripts/quickstart/run.py in few steps from its untrained model; answers are logged by the seed's key."""
    folder = tmp_path_factory.mktemp("quickstart")
    few = ["trainer.total_training_steps=2", "trainer.test_freq=1", "trainer.save_freq=-1", "data.train_batch_size=8",
           "data.val_max_samples=16", "actor_rollout_ref.rollout.n=4", "actor_rollout_ref.actor.ppo_mini_batch_size=8",
           "reward_model.num_workers=1", "trainer.val_generations_to_log_to_wandb=6"]  # yapf: disable
    script = ("import sys, run; run.WARM_MODEL, train = run.MODEL, run.train; "
              "run.train = lambda *job: 'main_sft' in job[1] or train(*job); run.main(sys.argv[1:])")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/scripts/quickstart"}
    done = subprocess.run([sys.executable, "-c", script, *few], cwd=folder, env=environment, timeout=500, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # yapf: disable
    assert done.returncode == 0, done.stdout
    return folder / "outputs" / "quickstart"


@pytest.mark.slow
def test_run_page_of_a_quick_start(screen, quickstart):
    screen.open(path=quickstart / "rl").sees("critic/score/mean")
    charts = screen.page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
    playwright.expect(charts.first).to_be_visible(timeout=WAIT)
    screen.shoot("quickstart_run")
    screen.box("Metrics").click()
    screen.page.keyboard.type("actor/lr")
    screen.page.get_by_role("option", name="actor/lr").click()
    screen.page.keyboard.press("Escape")
    screen.page.wait_for_function("location.search.includes('actor%2Flr')")
    screen.page.locator("main, [data-testid=stMain]").get_by_text("actor/lr").first.wait_for()
    screen.open(path=quickstart / "rl").click("show_train").has_query(page="Rollouts", set="train")


@pytest.mark.slow
def test_rollouts_page_of_a_quick_start(screen, quickstart):
    rows = pq.read_table(quickstart / "rl" / "rollouts" / "step_2.parquet").to_pylist()
    words = {row["uid"]: row["ground_truth"][::-1] for row in rows}
    first, second, *_ = sorted(words, key=int)
    word = words[second]
    screen.open(path=quickstart / "rl", page="Rollouts").sees("Step 2")
    screen.has_query(prompt=first).shoot("quickstart_rollouts")
    screen.click("next_prompt").has_query(prompt=second).sees(f"nus): {word}")
    screen.click("next_answer").has_query(sample="1")
    link = screen.page.url
    screen.choose("^Step|Step$", "1").has_query(step="1").sees("Step 1")
    screen.open(path=quickstart / "rl", page="Rollouts", q=f": {word}<").has_query(prompt=second)
    screen.choose("^Status|Status$", "ok").has_query(status="ok")
    screen.page.keyboard.press("Escape")
    screen.shoot("quickstart_search")
    screen.page.goto(link)
    screen.settle().has_query(prompt=second, sample="1", step="2").sees(f"nus): {word}")


@pytest.mark.slow
def test_dataset_page_of_a_quick_start(screen, quickstart):
    file = quickstart / "data" / "held_out.parquet"
    truths = [row["reward_model"]["ground_truth"] for row in pq.read_table(file).to_pylist()]
    screen.open(path=file).sees("of 256 rows")
    screen.click("next_row").has_query(row="1").sees(truths[1])
    screen.choose("^Source|Source$", "reasoning_gym (256)").has_query(source="reasoning_gym")
    screen.page.keyboard.press("Escape")
    screen.type("Search in prompts", truths[7]).has_query(q=truths[7], row=str(truths.index(truths[7])))
    screen.shoot("quickstart_dataset")
    link = screen.page.url
    screen.open(path=file)
    screen.page.goto(link)
    screen.settle().has_query(q=truths[7], source="reasoning_gym").sees(truths[7])


@pytest.mark.slow
def test_wandb_table_of_a_quick_start(screen, quickstart):
    file = quickstart / "rl" / "val_generations.table.json"
    rows = json.loads(file.read_text())["data"]
    assert [row[0] for row in rows] == [0, 1, 2] and len(rows[0]) == 1 + 3 * 6
    screen.open(path=file).sees("Step 2")
    screen.click("next_prompt").has_query(prompt="2")
    screen.choose("^Step|Step$", "1").has_query(step="1").sees("Step 1")
    asked = re.search(r"nus\): (\w+)", rows[1][7])[1]
    screen.type("Search in prompts", asked).has_query(q=asked).sees(f"nus): {asked}")
    screen.shoot("quickstart_table")
    link = screen.page.url
    screen.open()
    screen.page.goto(link)
    screen.settle().has_query(q=asked, step="1").sees(f"nus): {asked}")


def test_a_file_that_cannot_be_shown_is_an_error_in_words(screen, tmp_path):
    screen.open(path=tmp_path / "none.parquet").sees("none.parquet does not exist")
