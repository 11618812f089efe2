"""Why a comparison of arms or a mean over seeds has no number, beside what two curves lack."""

from dataclasses import dataclass

from pipeline.scoring.obstacles import (
    Obstacle,
)


@dataclass(frozen=True)
class NoPoints:
    """An arm without any point."""

    arm: str


@dataclass(frozen=True)
class SeedsWithout:
    """Seeds that have no BD-rate, so that a mean over seeds would mislead."""

    seeds: tuple[int, ...]


Missing = Obstacle | NoPoints | SeedsWithout
"""Why a row of the table of BD-rates has no number."""
