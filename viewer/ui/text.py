"""Model text on the page. No function here lets Markdown or HTML of the text through: see viewer.text."""
import streamlit as st

from viewer.text import RAW_CHARS, Look, clean, clip, escape, pieces

LONG, BOX = 10_000, 800  # a text of more characters scrolls in a box of so many pixels


def show_text(text: str | None, name: str, raw: bool) -> None:
    """A text, typeset or as it is; what is cut off is in the raw text, page by page, and in the download."""
    text = clean(text or "")
    if not text:
        st.caption("empty")
    elif raw:
        _show_raw(text, name)
    else:
        shown, rest = clip(text)
        if rest:
            st.warning(f"Shown are {len(shown):,} of {len(text):,} characters: switch on Raw text for the rest.")
            _download(text, name)
        with st.container(height=BOX if len(shown) > LONG else "content", border=False):
            _show_pieces(shown)


def _show_pieces(text: str) -> None:
    for piece in pieces(text):
        match piece.look:
            case Look.CODE:
                st.code(piece.text, language=piece.language, wrap_lines=True)
            case Look.MATH:
                st.latex(piece.text)
            case Look.INLINE:
                st.markdown(piece.text)
            case Look.TEXT:
                st.text(piece.text)


def _show_raw(text: str, name: str) -> None:
    pages = (len(text) - 1) // RAW_CHARS + 1
    page = 1
    if pages > 1:
        page = st.number_input(f"Part, of {pages}", 1, pages, key=f"part_{name}")
        _download(text, name)
    st.code(text[(page - 1) * RAW_CHARS:page * RAW_CHARS], language=None, wrap_lines=True)


def _download(text: str, name: str) -> None:
    st.download_button("Download the whole text", text, f"{name}.txt", "text/plain", key=f"download_{name}")


def label(text: str | None) -> str:
    """A name out of the data, for a place where Streamlit reads Markdown."""
    return escape(clean(text or "").replace("\n", " ")[:200])
