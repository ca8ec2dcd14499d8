import pytest

from reward_score.literals import MAX_LENGTH
from reward_score.livebench.tables import read_table, same_table
from tests.support.timing import computes_within

CSV = "name,age,score\nAnn,30,1.50\nBob,,2\n"
RECORDS = '[{"name": "Ann", "age": 30, "score": 1.5}, {"name": "Bob", "age": null, "score": 2}]'
LINES = '{"name": "Ann", "age": 30, "score": 1.5}\n{"name": "Bob", "age": null, "score": 2.0}\n'
INDEXED = '{"7":{"name":"Ann","age":30,"score":1.5},"9":{"name":"Bob","age":null,"score":2.0}}'
TSV = CSV.replace(",", "\t")
MARKDOWN = "| name | age | score |\n|:-----|----:|---:|\n| Ann | 30 | 1.5 |\n| Bob | | 2 |"
HTML = ("<table border='1'><thead><tr><th>name</th><th>age</th><th>score</th></tr></thead><tbody>\n"
        "<tr><td>Ann</td><td>30</td><td>1.5</td></tr><tr><td>Bob</td><td></td><td>2</td></tr></tbody></table>")
TABLES = {"csv": CSV, "tsv": TSV, "json": INDEXED, "jsonl": LINES, "markdown": MARKDOWN, "html": HTML}


@pytest.mark.parametrize("kind", TABLES)
def test_all_formats_write_the_same_table(kind):
    assert same_table(read_table(kind, TABLES[kind]), read_table("json", RECORDS))
    assert not same_table(read_table(kind, TABLES[kind].replace("Ann", "Anne")), read_table("json", RECORDS))


HOSTILE = [
    "<", "<!--", "<a ", "</", "<td>", "<table><tr><td>", "&#", "<tr ", "{", "[", "{\n", "|", "|\n", '"', "a,b\n", "\t"
]


@pytest.mark.parametrize("kind", TABLES)
def test_hostile_tables_end_soon(kind):
    for fragment in HOSTILE:
        with computes_within(1.0, fragment):
            rows = read_table(kind, (fragment * MAX_LENGTH)[:MAX_LENGTH], ["a", "b"])
        assert rows is None or not same_table(rows, read_table(kind, TABLES[kind])), fragment


@pytest.mark.parametrize(("a", "b", "same"), [
    ("1", 1.0, True),
    ("0.1", 0.1000000001, True),
    ("9007199254740993", 9007199254740992, False),
    ("", None, True),
    ("NaN", None, True),
    ("True", True, True),
    ("true", "false", False),
    ("a  b", "a b", True),
    ("a", "A", False),
    ("1%", 1, False),
])
def test_cells(a, b, same):
    assert same_table([{"x": a}], [{"x": b}]) is same


@pytest.mark.parametrize(("kind", "text"), [
    ("csv", 'x,"a ""quoted"" name",z\n"1,5",2,3'),
    ("tsv", 'x\ta "quoted" name\tz\n1,5\t2\t3'),
    ("html", "<TABLE><TR><TD>x<TD>a &quot;quoted&quot; <b>name</b><TD>z<TR><TD>1,5<TD>2<TD>3</TABLE>bye"),
    ("markdown", 'Here:\n\n x\n| x | a "quoted" name | z |\n|---|:-:|---|\n|1,5|2|3|\n\nbye'),
    ("json", '[{"x": "1,5", "a \\u0022quoted\\u0022 name": 2, "z": 3}]'),
    ("json", '{"schema": {}, "data": [{"index": 0, "x": "1,5", "a \\"quoted\\" name": 2, "z": 3}]}'),
    ("jsonl", 'Here:\n{"x": "1,5", "a \\"quoted\\" name": 2, "z": 3}\nbye'),
])
def test_spellings(kind, text):
    assert same_table(read_table(kind, text), [{"x": "1,5", 'a "quoted" name': 2, "z": 3}])


@pytest.mark.parametrize(("kind", "text"), [("csv", ""), ("csv", "a,b"), ("csv", "a,a\n1,2"), ("csv", "a,b\n1,2,3"),
                                            ("json", "[]"), ("json", "{}"), ("json", "[1]"), ("json", '{"a": [1]}'),
                                            ("jsonl", "{a: 1}"), ("markdown", "a | b"), ("html", "<td>a</td>"),
                                            ("csv", ",".join(map(str, range(20_000))) + "\n" + "1\n" * 30_000)])
def test_no_table(kind, text):
    assert read_table(kind, text) is None


def test_every_column_must_be_there():
    assert not same_table([{"x": 1}], [{"x": 1, "y": None}])
    assert same_table([{"x": 1}, {"x": 2, "y": 3}], [{"x": 1, "y": None}, {"y": 3, "x": 2}])
