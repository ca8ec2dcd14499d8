"""What data_viewer.py shows, computed in plain modules: no torch, no Ray, and no Streamlit outside viewer.ui."""
