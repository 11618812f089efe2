"""What stages use of this room; nothing else here is theirs.

`start` opens a run, which takes values, files and models; `close_left` closes the runs of jobs that
were killed; `lineage` and `data_md5` say what a run was made from; views and links say where MLflow
shows it.
"""

from pipeline.tracking.lineage import data_md5, lineage
from pipeline.tracking.links import run_links, server, view_links
from pipeline.tracking.model import registered_name
from pipeline.tracking.run import NullRun, Run
from pipeline.tracking.start import close_left, start, store_uri
from pipeline.tracking.views import RUN_COLOUR, SavedView, experiment_views

__all__ = [
    "RUN_COLOUR",
    "NullRun",
    "Run",
    "SavedView",
    "close_left",
    "data_md5",
    "experiment_views",
    "lineage",
    "registered_name",
    "run_links",
    "server",
    "start",
    "store_uri",
    "view_links",
]
