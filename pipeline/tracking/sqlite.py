"""A new store in an SQLite file: there as a whole, or not there."""

from pathlib import Path

from pipeline.files import whole_file


def create_store(database: Path, experiment: str, location: str) -> None:
    """Create MLflow's tables and an experiment in a file that does not exist yet.

    location: of the experiment's artifacts, a URI. One process at a time may do this. MLflow cannot
    use a file that has some of its tables: a process that is killed while it makes them would end
    tracking for good. So the file gets its name when it is whole.
    """
    from mlflow import MlflowClient

    with whole_file(database) as part:
        uri = f"sqlite:///{part}"
        client = MlflowClient(uri, registry_uri=uri)
        client.create_experiment(experiment, artifact_location=location)
