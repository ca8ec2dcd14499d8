import datetime

import numpy as np
import pytest

from reward_score import default_compute_score
from reward_score.livebench import TASKS
from reward_score.registry import resolve
from tests.reward_score.livebench.test_tables import CSV, LINES, RECORDS, TABLES
from tests.support.reward_cases import Case
from tests.support.reward_contract import FRAGMENTS, assert_case, assert_examples, assert_quick, per_case

PLOT = "Ann finds a map. She sails to the island. A storm sinks her ship. Bob saves her. They dig up the gold."
PLOT_MOVED = "She sails to the island. Ann finds a map. A storm sinks her ship. Bob saves her. They dig up the gold."
TYPOS = "We study the rings of Saturn, and we find that they are younger than the planet."
JOIN = "{'city': 'town', 'pop': 'inhabitants', 'id': 'key'}"
WORDS = "ant, drill, island, opal, bass, flounder, salmon, trout"
TRUTHS = {
    "cta": "Country Name",
    "tablejoin": JOIN,
    "tableformat": CSV,
    "tablereformat": CSV,
    "web_of_lies_v2": "yes, no, yes",
    "web_of_lies_v3": "yes, unknown, no",
    "house_traversal": "Alice Bob Carol",
    "zebra_puzzle": "two",
    "spatial": "tetrahedra",
    "plot_unscrambling": PLOT,
    "typos": TYPOS,
    "connections": WORDS,
}


def info(task, kind="CSV"):
    """extra_info as it comes out of parquet."""
    prompt = f"Please convert the Input Table from HTML format to {kind} format. Please respond only with the table."
    return {
        "task": task,
        "category": "x",
        "prompt": np.array([prompt], dtype=object),
        "date": datetime.datetime(2024, 6, 24)
    }


def table(task, *rows, kind="CSV"):
    """Cases from (name, answer, score) or (name, answer, score, truth)."""
    return [
        Case(f"{task}: {name}", answer, truth[0] if truth else TRUTHS[task], score, info(task, kind))
        for name, answer, score, *truth in rows
    ]


def anywhere(task):
    """What every task must do with its right answer."""
    right = TASKS[task].reference(TRUTHS[task])
    return table(task, ("right", f"<think>hm\n{TRUTHS[task][::-1]}</think>{right}", 1.0), ("empty", "", 0.0),
                 ("garbage", "I do not know.", 0.0), ("unclosed thinking", f"<think>{right}", 0.0),
                 ("cut in the tag", f"{right} <solution>{TRUTHS[task][:-1]}", 0.0),
                 ("taken back", f"{right}\n<solution>qqq</solution>", 0.0), ("huge", "**a, b** qq. " * 80_000, 0.0))


LIES = [
    ("in tags", "<solution>yes, no, yes</solution>", 1.0),
    ("several lines", "<solution>\nYes,\nno,\nyes\n</solution>", 1.0),
    ("one by one", "Ann: **yes**, Bob: **no**, Carl: **yes**", 1.0),
    ("bold words before", "Ann says **no**. So **yes** ... **yes, no, yes**", 1.0),
    ("heading afterwards", "**yes, no, yes**\n\n**Done**", 1.0),
    ("label", "**Answer: yes, no, yes.**", 1.0),
    ("boxed", r"**Answer:** $\boxed{\text{yes, no, yes}}$", 1.0),
    ("changed", "**yes, no, yes** ... **no, no, yes**", 0.0),
    ("malformed", "**yes, no, yes", 0.0),
    ("hack: both", "**yes, no, yes, yes, no, no**", 0.0),
]
ROWS = {
    "web_of_lies_v2": [
        *LIES,
        ("near miss", "**yes, no, no**", 0.0),
        ("hack: no is in unknown", "**unknown, unknown**", 0.0, "unknown, no, unknown"),
        ("unknown", "**unknown, no, unknown**", 1.0, "unknown, no, unknown"),
    ],
    "web_of_lies_v3": [
        *((*row, "yes, no, yes") for row in LIES if row[0] != "changed"),
        ("one of three wrong", "<solution>yes, no, no</solution>", 1 / 3),
        ("all wrong", "**no, yes, yes**", 0.0),
    ],
    "house_traversal": [
        ("commas", "**Alice, Bob, Carol**", 1.0),
        ("spaces", "**alice bob carol**", 1.0),
        ("one by one", "**Alice** then **Bob** then **Carol**", 1.0),
        ("arrows", "**Alice -> Bob \u2192 Carol**", 1.0),
        ("label", "**Answer:\nAlice,\nBob,\nCarol**", 1.0),
        ("order", "**Bob, Alice, Carol**", 0.0),
        ("no bold", "Alice, Bob, Carol", 0.0),
        ("near miss: one more", "**Alice, Zoe, Bob, Carol**", 0.0),
        ("hack: all walks", "**Alice Bob Carol Bob Alice**", 0.0),
    ],
    "zebra_puzzle": [
        ("triple stars", "so ***two***", 1.0),
        ("digit", "**2**", 1.0),
        ("Two", "**Two.**", 1.0),
        ("position", "<solution>Position 2</solution>", 1.0),
        ("wrong", "***three***", 0.0),
        ("last bold", "***two*** or ***three***", 0.0),
        ("near miss", "***twenty***", 0.0),
        ("hack: contains it", "***one two three***", 0.0),
        ("no marks", "two", 0.0),
        ("genre", "***sci-fi***", 1.0, "sci-fi movies"),
        ("all", "<solution>2, dutch, tea</solution>", 1.0, "two, Dutch, tea"),
        ("two of three", "<solution>2, dutch, milk</solution>", 1 / 3, "two, Dutch, tea"),
        ("one by one", "<solution>2</solution><solution>dutch</solution><solution>tea</solution>", 1.0,
         "two, Dutch, tea"),
        ("too many", "<solution>2, dutch, tea, milk</solution>", 0.0, "two, Dutch, tea"),
    ],
    "spatial": [
        ("qualified", "**two tetrahedra**", 1.0),
        ("capital", "**Tetrahedra**", 1.0),
        ("digit", "**3**", 1.0, "3"),
        ("word", "It is **three**", 1.0, "3"),
        ("boxed", r"**\boxed{3}**", 1.0, "3"),
        ("near miss", "**tetrahedron**", 0.0),
        ("near miss: number", "**33**", 0.0, "3"),
        ("no bold", "3", 0.0, "3"),
        ("hack: the last three", "**3** **4** **5**", 0.0, "3"),
        ("hack: list", "**square tetrahedra**", 0.0),
    ],
    "cta": [
        ("case and dots", "country name.", 1.0),
        ("bold", "**Country Name**", 1.0),
        ("boxed", r"It is \boxed{\text{Country Name}}", 1.0),
        ("lines", "\nCountry\nName\n", 1.0),
        ("wrong", "City Name", 0.0),
        ("near miss", "Country Names", 0.0),
        ("a sentence", "It is Country Name", 0.0),
        ("hack: all classes", "City Name, Country Name", 0.0),
    ],
    "tablejoin": [
        ("json", '{"city": "town", "pop": "inhabitants", "id": "key"}', 1.0),
        ("fenced", f"Here:\n```python\nmapping = {JOIN}\n```\n", 1.0),
        ("lines", JOIN.replace(", ", ",\n  ") + "\n", 1.0),
        ("boxed", rf"\boxed{{{JOIN}}}", 1.0),
        ("two of three", "{'city': 'town', 'pop': 'inhabitants'}", 0.8),
        ("one wrong", "{'city': 'town', 'pop': 'inhabitants', 'id': 'town'}", 2 / 3),
        ("all wrong", "{'a': 'b'}", 0.0),
        ("nothing", "{}", 0.0),
        ("malformed", "{'city': 'town'", 0.0),
        ("unfinished block", f"```\n{JOIN}", 0.0),
        ("two dicts", f"{JOIN} {JOIN}", 0.0),
        ("hack: code", "{'city': __import__('os').name}", 0.0),
        ("hack: a key twice", "{'city': 'a', 'city': 'town'}", 0.0),
    ],
    "plot_unscrambling": [
        ("no tag", PLOT, 1.0),
        ("lines", PLOT.replace(". ", ".\n"), 1.0),
        ("reworded", "<PLOT_SUMMARY>" + PLOT.replace("Bob saves", "But Bob saves"), 1.0),
        ("two swapped", "<PLOT_SUMMARY>" + PLOT_MOVED, 0.6),
        ("one missing", PLOT.replace("Bob saves her. ", ""), 0.8),
        ("introduction", "Here it is. " + PLOT, 5 / 6),
        ("garbage sentence", "All is lost in translation.", 0.0),
        ("hack: both orders", f"{PLOT} {PLOT_MOVED}", 0.5),
        ("hack: the first of two", f"<PLOT_SUMMARY>{PLOT}\n<PLOT_SUMMARY>Nothing.", 0.0),
    ],
    "typos": [
        ("introduction", f"Here it is: {TYPOS}", 1.0),
        ("lines", TYPOS.replace(", ", ",\n"), 1.0),
        ("in tags", f"It said sturn.\n<solution>\n{TYPOS}\n</solution>", 1.0),
        ("wrong", TYPOS.replace("Saturn", "Sturn"), 0.0),
        ("near miss: comma", TYPOS.replace(",", ""), 0.0),
        ("near miss: case", TYPOS.lower(), 0.0),
        ("hack: versions", f"{TYPOS} {TYPOS.replace('the', 'teh')}", 0.0),
    ],
    "connections": [
        ("groups swapped", "**bass, flounder, salmon, trout, opal, island, drill, ant**", 1.0),
        ("two texts", "**Ant, Drill, Island, Opal**\n\n**bass, trout, salmon, flounder**", 1.0),
        ("lines", "<solution>\nant, drill, island, opal,\nbass, flounder, salmon, trout\n</solution>", 1.0),
        ("one group", "**ant, drill, island, opal, bass, flounder, salmon, cod**", 0.5),
        ("mixed", "**ant, drill, bass, flounder, island, opal, salmon, trout**", 0.0),
        ("no bold", WORDS, 0.0),
        ("near miss: a word missing", "**ant, drill, island, opal, bass, flounder, salmon**", 0.0),
        ("hack: a word too many", f"**{WORDS}, ant**", 0.0),
        ("hack: best of several", f"**{WORDS}** **ant, bass, drill, trout, salmon, opal, island, flounder**", 0.0),
    ],
    "tableformat": [
        ("fenced", f"Here:\n```csv\n{CSV}```", 1.0),
        ("words around", f"Here it is:\n{CSV}\nAnything else?", 1.0),
        ("columns in another order", "age,name,score\n30,Ann,1.5\n,Bob,2.0", 1.0),
        ("rows in another order", "name,age,score\nBob,,2\nAnn,30,1.5", 0.0),
        ("near miss", CSV.replace("30", "31"), 0.0),
        ("row missing", "name,age,score\nAnn,30,1.5", 0.0),
        ("row too many", CSV + "Cid,1,1", 0.0),
        ("other header", CSV.replace("age", "years"), 0.0),
        ("wrong format", RECORDS, 0.0),
        ("hack: header only", "name,age,score", 0.0),
        ("hack: a column twice", "name,name,age,score\na,Ann,30,1.5", 0.0),
    ],
}
ROWS["tablereformat"] = ROWS["tableformat"]
CASES = {"ood__livebench": [case for task in TASKS for case in anywhere(task) + table(task, *ROWS[task])]}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_cases_of_its_own(task):
    assert sum(case.extra_info["task"] == task for case in CASES["ood__livebench"]) >= 8


@pytest.mark.parametrize("task", TASKS)
def test_examples(task):
    assert_examples("ood__livebench", TRUTHS[task], info(task))


@pytest.mark.parametrize("kind", TABLES)
def test_examples_of_tables(kind):
    assert_examples("ood__livebench", TABLES[kind], info("tableformat", kind.upper()))


@pytest.mark.parametrize("task", TASKS)
def test_ten_megabytes(task):
    assert_quick("ood__livebench", TRUTHS[task], info(task), FRAGMENTS[::3])


def test_format_named_in_the_new_prompts():
    extra_info = {"task": "tablereformat", "prompt": ["Convert.\nSource Format: CSV\nTarget Format: JSONL\n"]}
    assert default_compute_score("ood__livebench", LINES, LINES, extra_info)["score"] == 1.0


@pytest.mark.parametrize("extra_info", [None, {}, {"task": None}, {"task": "zebra"}])
def test_unknown_task_names_the_known_ones(extra_info):
    with pytest.raises(ValueError, match="web_of_lies_v3"):
        default_compute_score("ood__livebench", "", "yes", extra_info)


@pytest.mark.parametrize(("task", "truth", "named"), [
    ("cta", None, "ood__livebench"),
    ("typos", "  ", "ood__livebench"),
    ("tablejoin", "no dict", "tablejoin"),
    ("tablejoin", "{}", "tablejoin"),
    ("tableformat", "no table", "tableformat"),
    ("plot_unscrambling", "...", "plot_unscrambling"),
])
def test_a_bad_row_is_named(task, truth, named):
    with pytest.raises(ValueError, match=named):
        default_compute_score("ood__livebench", "", truth, info(task))


@pytest.mark.parametrize("prompt", [None, "Convert it.", np.array(["to XML format"], dtype=object)])
def test_a_table_without_its_format(prompt):
    with pytest.raises(ValueError, match="prompt"):
        default_compute_score("ood__livebench", CSV, CSV, {"task": "tableformat", "prompt": prompt})


def test_registered_with_its_needs():
    assert resolve("ood__livebench").needs_extra_info == ("task",)
