"""Which device the nets run on."""

import torch


class DeviceError(ValueError):
    """A device or precision that this machine cannot offer."""


def open_device(device: str, index: int = 0) -> torch.device:
    """Return the device to run on, set up for it.

    device: auto (a GPU if there is one) | cpu | cuda. index: of the GPU. Raises DeviceError if
    there is no GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("machine.device is cuda, but torch sees no GPU; use auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    where = torch.device("cuda", index)
    torch.cuda.set_device(where)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    return where
