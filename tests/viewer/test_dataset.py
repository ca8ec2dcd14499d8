import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.viewer_data import make_dataset
from viewer.dataset import PAGE, Dataset, RowFilter, as_json, messages_of
from viewer.detect import SourceError

ALL = RowFilter()


@pytest.fixture(scope="module")
def dataset(dataset_file):
    return Dataset(dataset_file)


def numbers(rows):
    return [row["row"] for row in rows]


def test_pages_in_file_order(dataset):
    assert dataset.rows == 130 and dataset.sources == {"code": 44, "math": 86}
    assert [numbers(dataset.page(ALL, page=page)) for page in range(3)] == [
        list(range(50)), list(range(50, 100)), list(range(100, 130))
    ]  # yapf: disable
    first = dataset.page(ALL)[0]
    assert first["prompt"].startswith("be brief\nQuestion 0 <script>") and first["ground_truth"] == "truth-0"
    assert len(dataset.page(ALL, page=2)[-1]["prompt"]) == 200  # a preview


def test_a_row_has_everything(dataset):
    row = dataset.row(77)
    assert row["extra_info"] == {"index": 77, "split": "train"} and row["truth_text"] == "truth-77"
    assert [role for role, _ in messages_of(row["prompt"])] == ["system", "user"]
    assert messages_of(row["prompt"])[1][1].endswith("x" * 77)
    assert dataset.row(130) is None and dataset.row(-1) is None


@pytest.mark.parametrize("wanted, found", [
    (RowFilter(sources=("code",)), range(0, 130, 3)),
    (RowFilter(text="QUESTION 12"), [12, *range(120, 130)]),
    (RowFilter(text="truth-99"), [99]),
    (RowFilter(text="%"), []),
    (RowFilter(sources=("math",), text="truth-9"), [91, 92, 94, 95, 97, 98]),
])
def test_filters_and_search(dataset, wanted, found):
    assert dataset.count(wanted) == len(found)
    assert numbers(dataset.page(wanted)) == list(found)[:PAGE]
    assert numbers(dataset.page(wanted, "longest")) == list(found)[::-1][:PAGE]
    assert numbers(dataset.page(wanted, page=5)) == []


def test_lengths(dataset):
    longest = dataset.page(ALL, "longest")
    assert numbers(longest) == list(range(129, 79, -1))
    bound = longest[9]["length"]
    assert dataset.count(RowFilter(length=(bound, None))) == 10
    bins, counted = dataset.histogram(ALL)
    assert counted == 130 == sum(rows for _, _, rows in bins)
    assert all(low < high for low, high, _ in bins) and bins[-1][1] > longest[0]["length"]
    assert dataset.histogram(RowFilter(text="nowhere")) == ([], 0)


def test_a_large_file_is_sampled_for_the_histogram(tmp_path, monkeypatch):
    monkeypatch.setattr("viewer.dataset.SAMPLE_ROWS", 40)
    dataset = Dataset(make_dataset(tmp_path / "d.parquet"))
    assert dataset.histogram(ALL)[1] == 40 and dataset.histogram(ALL, True)[1] == 130
    assert dataset.histogram(RowFilter(sources=("code",)))[1] < 40


@pytest.mark.parametrize("columns", [
    {"prompt": ["one", "two"]},
    {"prompt": ["one", "two"], "answer": ["1", "2"], "data_source": [None, "m"]},
    {"prompt": [[{"content": "one", "role": None}], [{"content": "two", "role": "user"}]], "ground_truth": [[1], [2]]},
    {"prompt": [["one"], ["two"]], "reward_model": [{"style": "x"}, {"style": "y"}]},
])  # yapf: disable
def test_other_schemas_open_too(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    dataset = Dataset(tmp_path / "d.parquet")
    assert "two" in dataset.page(RowFilter(text="two"))[0]["prompt"]
    assert "two" in messages_of(dataset.row(1)["prompt"])[0][1]
    assert dataset.count(RowFilter(text="nowhere")) == 0 and dataset.histogram(ALL)[1] == 2
    assert as_json(dataset.row(0))


def test_other_files_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("x")
    with pytest.raises(SourceError, match="no column `prompt`, only a"):
        Dataset(tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="b.parquet is no whole parquet file"):
        Dataset(tmp_path / "b.parquet")
