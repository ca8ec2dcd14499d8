"""The pages, in Streamlit: widgets and layout, nothing that is worth computing."""
