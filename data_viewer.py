"""The viewer: streamlit run data_viewer.py [-- --source-type wandb_table --file-path FILE]"""
import sys

from viewer.ui.app import main

main(sys.argv[1:])
