"""What stages and commands use of this package; nothing else here is theirs.

`start` opens a run, which takes values, files and models. `lineage` and `data_md5` say what a run
was made from. Views and links say where MLflow shows it.
"""

from pipeline.tracking.lineage import data_md5, lineage
from pipeline.tracking.model import registered_name
from pipeline.tracking.run import NullRun, Run, start
from pipeline.tracking.store import store_uri
from pipeline.tracking.views import (
    RUN_COLOUR,
    SavedView,
    experiment_views,
    server,
    view_links,
)

__all__ = [
    "RUN_COLOUR",
    "NullRun",
    "Run",
    "SavedView",
    "data_md5",
    "experiment_views",
    "lineage",
    "registered_name",
    "server",
    "start",
    "store_uri",
    "view_links",
]
