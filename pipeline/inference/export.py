"""The features of a whole split, and what is measured on them before anything is coded."""

import numpy as np

from pipeline.coding.forms import FORMS
from pipeline.coding.rate import rate_in_form
from pipeline.data.source import Source
from pipeline.inference import edge
from pipeline.nets.split import SplitNet


def export(net: SplitNet, batches: Source) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the features of all frames, N x C x h x w float32, and L_r of each in every form."""
    parts: list[np.ndarray] = []
    losses: dict[str, list[np.ndarray]] = {str(form): [] for form in FORMS}
    for features_BChw in edge.features(net, batches):
        parts.append(features_BChw.cpu().numpy())
        for form in FORMS:
            losses[str(form)].append(rate_in_form(features_BChw, form).cpu().numpy())
    return np.concatenate(parts), {form: np.concatenate(x) for form, x in losses.items()}
