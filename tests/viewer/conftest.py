"""The small sources, made once."""
import pytest

from tests.support.viewer_data import make_dataset, make_run, make_table

pytest.importorskip("duckdb", reason="the viewer extra is not installed: pip install -e .[viewer]")
pytest.importorskip("streamlit", reason="the viewer extra is not installed: pip install -e .[viewer]")


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("viewer") / "my_run")


@pytest.fixture(scope="session")
def table_file(tmp_path_factory):
    return make_table(tmp_path_factory.mktemp("viewer") / "generations_20_abc.table.json")


@pytest.fixture(scope="session")
def dataset_file(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("viewer") / "train [1].parquet")
