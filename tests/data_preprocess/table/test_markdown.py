import pytest

from data_preprocess.table.markdown import html_rows, markdown_table


def test_markdown():
    assert markdown_table([["a", 1], ["b | c\nd"]]) == "| a | 1 |\n| --- | --- |\n| b \\| c d |  |"
    assert markdown_table([]) == ""


@pytest.mark.parametrize(("html", "rows"), [
    ("<table><tr><td>a</td><th>b</th></tr></table>", [["a", "b"]]),
    ("<tr><td colspan=2>a</td><td>b</td></tr><tr><td>1</td><td>2</td><td>3</td></tr>", [["a", "", "b"], ["1", "2", "3"]
                                                                                       ]),
    ("<tr><td rowspan='2'>a</td><td>b</td></tr><tr><td>c</td></tr>", [["a", "b"], ["", "c"]]),
    ("<tr><td>x &lt; <b>y</b> &#37;<td>z</tr>", [["x < y %", "z"]]),
    ("<tr><td rowspan=9 colspan='x'>a</td></tr>", [["a"]]),
    ("<table><tr></tr></table>words<td>lost</td>", [["lost"]]),
    ("<p>no table</p>", []),
    ("<td>no row</td>", []),
    ("<tr><td>a</td> between <td></td></tr>", [["a", ""]]),
])
def test_html(html, rows):
    assert html_rows(html) == rows
