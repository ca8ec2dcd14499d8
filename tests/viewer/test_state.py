from hypothesis import given
from hypothesis import strategies as st

from viewer.state import View, from_query

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.none() | st.floats(-1e6, 1e6).map(lambda x: float(f"{x:.12g}"))
RANGE = st.tuples(NUMBER, NUMBER)
VIEWS = st.builds(View, page=TEXT, path=TEXT, compare=st.lists(TEXT, max_size=3).map(tuple), q=TEXT, score=RANGE,
                  length=RANGE, step=st.none() | st.integers(-5, 10**9), sample=st.none() | st.integers(0, 99),
                  source=st.lists(TEXT, max_size=3).map(tuple), raw=st.booleans(), prompt=TEXT,
                  smooth=st.floats(0, 0.99).map(lambda x: round(x, 2)))  # yapf: disable


def as_lists(query):
    return {name: value if isinstance(value, list) else [value] for name, value in query.items()}


@given(VIEWS)
def test_every_view_comes_back_from_its_url(view):
    assert from_query(as_lists(view.to_query())) == view


def test_the_url_says_only_what_was_chosen():
    assert View().to_query() == {}
    view = View(page="Rollouts", step=3, source=("a", "b"), score=(None, 0.5), raw=True)
    assert view.to_query() == {"page": "Rollouts", "step": "3", "source": ["a", "b"], "score": "..0.5", "raw": "1"}


@given(st.dictionaries(st.sampled_from([*View.__dataclass_fields__, "other"]), st.lists(TEXT, max_size=2)))
def test_no_url_is_an_error(query):
    view = from_query(query)
    assert isinstance(view, View) and from_query(as_lists(view.to_query())) == view


def test_impossible_values_are_left_out():
    query = {
        "step": ["x"],
        "sample": ["1e5"],
        "smooth": ["7"],
        "score": ["nan..inf"],
        "length": ["5"],
        "row": ["9" * 40]
    }
    assert from_query(query) == View(smooth=0.99, length=(5.0, 5.0))
