"""The viewer: streamlit run data_viewer.py [-- --source-type wandb_table --file-path FILE]"""
import sys
from importlib.util import find_spec

import streamlit as st

if find_spec("duckdb") is None:
    st.error("The viewer reads files with DuckDB: `pip install -e '.[viewer]'`")
    st.stop()

from viewer.ui.app import main  # noqa: E402

main(sys.argv[1:])
