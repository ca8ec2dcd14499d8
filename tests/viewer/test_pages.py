"""The pages without a browser: what the widgets say and do."""
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from viewer.state import View

SCRIPT = Path(__file__).parents[2] / "data_viewer.py"


@pytest.fixture
def opened(monkeypatch):
    """Opens the viewer by a link; no page may show an exception."""
    apps = []

    def visit(*argv, **view):
        monkeypatch.setattr(sys, "argv", ["data_viewer.py", *argv])
        app = AppTest.from_file(str(SCRIPT), default_timeout=60)
        for name, value in View(**{k: str(v) if k == "path" else v for k, v in view.items()}).to_query().items():
            app.query_params[name] = value
        apps.append(app)
        return app.run()

    yield visit
    for app in apps:
        assert not app.exception


def box(app, label):
    return next(widget for widget in app.selectbox if widget.label.startswith(label))


def text(app, label):
    return next(widget for widget in app.text_input if widget.label.startswith(label))


def query(app):
    return {name: values[0] if len(values) == 1 else values for name, values in app.query_params.items()}


def shown(app):
    return "\n".join(element.value for kind in (app.code, app.text, app.markdown, app.latex) for element in kind)


def test_welcome_and_files_that_cannot_be_shown(opened, tmp_path):
    assert "Give the path of" in opened().markdown[0].value
    assert "does not exist" in opened(path=tmp_path / "none").error[0].value
    assert "no step" in opened(path=tmp_path).error[0].value.replace("\\", "")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    assert "no whole parquet" in opened(path=tmp_path / "x.parquet").error[0].value
    assert opened(path=tmp_path / "x.parquet", type="rollouts").error
    assert opened(path=tmp_path / "x.parquet", type="wandb_table").error
    assert opened(path=tmp_path / "x.parquet", type="dataset").error
    assert opened(path=tmp_path / "x.parquet", type="run").error


def test_streamlit_alone_is_told_what_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    app = AppTest.from_file(str(SCRIPT)).run()
    assert "pip install -e '.[viewer]'" in app.error[0].value and not app.exception


def test_arguments_of_the_command_line(opened, table_file):
    app = opened("--source-type", "wandb_table", "--file-path", str(table_file))
    assert app.header[0].value == "Step 20" and query(app)["path"] == str(table_file)
    assert "invalid choice" in opened("--source-type", "x").error[0].value
    assert "unrecognized arguments" in opened("--what").error[0].value


def test_run_page(opened, run_dir):
    app = opened(path=run_dir)
    assert app.header[0].value == "my\\_run"
    assert app.multiselect[0].value[0] == "critic/score/mean" and "step" not in app.multiselect[0].options
    assert list(app.dataframe[0].value["phase"]) == ["gen", "update_actor", "other"]
    app.slider[0].set_value(0.9).run()
    app.multiselect[0].set_value(["actor/entropy"]).run()
    assert query(app)["smooth"] == "0.9" and query(app)["metric"] == "actor/entropy"
    app.text_area[0].set_value(f"{run_dir}\n{run_dir}/none").run()
    assert "none does not exist" in app.error[0].value.replace("\\", "")
    assert query(app)["compare"] == [str(run_dir), f"{run_dir}/none"]


def test_from_a_step_of_the_run_to_its_samples(opened, run_dir):
    app = opened(path=run_dir)
    app.selectbox(key="jump_validation").set_value(2).run()
    app.button(key="show_validation").click().run()
    assert app.header[0].value == "Step 2"
    assert {"page": "Rollouts", "set": "validation", "step": "2"}.items() <= query(app).items()


def test_rollouts_filter_search_and_walk(opened, run_dir):
    app = opened(path=run_dir, page="Rollouts")
    assert app.header[0].value == "Step 4" and box(app, "Prompt").value == "0"
    app.button(key="next_prompt").click().run()
    app.button(key="next_answer").click().run()
    assert (box(app, "Prompt").value, box(app, "Answer").value) == ("1", 1)
    app.button(key="previous_prompt").click().run()
    box(app, "Step").set_value(2).run()
    assert query(app)["step"] == "2" and query(app)["prompt"] == "0"
    app.multiselect(key="status").set_value(["timeout", "crash"]).run()
    assert [label.split(" · ")[1] for label in box(app, "Answer").options] == ["timeout", "crash"]
    app.multiselect(key="status").set_value([]).run()
    app.number_input(key="score_from").set_value(0.5).run()
    assert query(app)["score"] == "0.5.." and len(box(app, "Answer").options) == 1
    app.number_input(key="score_from").set_value(None).run()
    text(app, "Search").set_value("the very END").run()
    assert query(app)["q"] == "the very END" and "truncated" in box(app, "Answer").options[0]
    text(app, "Search").set_value("nowhere to be found").run()
    assert app.info[0].value == "No sample passes the filters."
    text(app, "Search").set_value("").run()
    app.multiselect(key="source").set_value(["code"]).run()
    assert box(app, "Prompt").value == "1" and len(box(app, "Prompt").options) == 1


def test_a_link_opens_the_same_view(opened, run_dir):
    chosen = {"set": "validation", "step": 2, "prompt": "2", "sample": 4, "score": (None, 0.5), "sort": "longest"}
    app = opened(path=run_dir, page="Rollouts", status=("crash", "gone"), **chosen)
    assert app.header[0].value == "Step 2" and "step 2 answer 4" in shown(app)
    wanted = {"set": "validation", "prompt": "2", "sample": "4", "status": "crash", "score": "..0.5", "sort": "longest"}
    assert wanted.items() <= query(app).items()


def test_a_link_to_what_is_not_there_shows_what_is(opened, run_dir):
    app = opened(path=run_dir, page="Nowhere", set="x")
    assert query(app)["page"] == "Run"
    app = opened(path=run_dir, page="Rollouts", step=99, prompt="99", sample=99, sort="x", finish="x", source=("x",))
    assert query(app)["step"] == "1" and query(app)["prompt"] == "0" and "source" not in query(app)


def test_raw_text_and_the_rest_of_a_long_one(opened, run_dir):
    app = opened(path=run_dir, page="Rollouts", sample=3)
    assert "50,000 of 1,048,604" in app.warning[0].value and len(app.text[-1].value) == 50_000
    app.toggle(key="raw").set_value(True).run()
    assert query(app)["raw"] == "1" and not app.warning
    app.number_input(key="part_output").set_value(6).run()
    assert app.code[-1].value.endswith("the very end")


def test_prompt_in_all_steps(opened, run_dir):
    app = opened(path=run_dir, page="Rollouts")
    app.toggle[0].set_value(True).run()
    assert any(list(frame.value.get("step", [])) == [1, 2, 3, 4] for frame in app.dataframe)


def test_wandb_table(opened, table_file):
    app = opened(path=table_file)
    assert query(app)["step"] == "20" and len(box(app, "Prompt").options) == 2
    app.button(key="next_answer").click().run()
    assert any("document.title" in element.value for element in app.text)
    assert not app.multiselect  # nothing to filter by: the table has neither source nor status


def test_dataset_page(opened, dataset_file):
    app = opened(path=dataset_file)
    assert app.markdown[0].value == "**130** of 130 rows" and box(app, "Row").value == 0
    app.button(key="next_row").click().run()
    assert query(app)["row"] == "1"
    app.number_input(key="page_number").set_value(3).run()
    assert box(app, "Row").value == 100
    app.button(key="previous_row").click().run()
    assert box(app, "Row").value == 99 and app.number_input(key="page_number").value == 2
    app.multiselect(key="source").set_value(["code"]).run()
    assert app.markdown[0].value == "**44** of 130 rows" and box(app, "Row").value == 99
    text(app, "Search").set_value("truth-99").run()
    assert box(app, "Row").value == 99 and "truth-99" in shown(app)
    text(app, "Search").set_value("").run()
    box(app, "Sort").set_value("longest").run()
    assert box(app, "Row").value == 129 and query(app)["sort"] == "longest"


def test_links_to_rows(opened, dataset_file):
    app = opened(path=dataset_file, row=77)
    assert box(app, "Row").value == 77 and app.number_input(key="page_number").value == 2
    app = opened(path=dataset_file, row=129, source=("math",))
    assert box(app, "Row").value == 129 and query(app)["row"] == "129"
    assert box(opened(path=dataset_file, row=5000), "Row").value == 0
    app = opened(path=dataset_file, row=77)
    app.number_input(key="page_number").set_value(1).run()
    assert box(app, "Row").value == 0


def test_another_file_forgets_what_was_chosen_in_the_old_one(opened, run_dir, dataset_file):
    app = opened(path=run_dir, page="Rollouts", q="the very end", status=("ok",))
    text(app, "File").set_value(str(dataset_file)).run()
    assert query(app) == {"page": "Dataset", "path": str(dataset_file), "sort": "file order", "row": "0"}


def test_a_file_that_changes_is_read_again(opened, run_dir, tmp_path):
    import shutil
    run = shutil.copytree(run_dir, tmp_path / "run")
    app = opened(path=run, page="Rollouts", step=4)
    shutil.copy(run / "rollouts" / "step_4.parquet", run / "rollouts" / "step_5.parquet")
    assert box(app.run(), "Step").options[-1] == "5"
