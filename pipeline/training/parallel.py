"""One training job as several processes, with torch.distributed."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from pipeline.nets.split import SplitNet
from pipeline.training.runtime import Runtime


def wrap(net: SplitNet, runtime: Runtime) -> Any:
    """Return the net as it is called: itself, or synchronised over all processes.

    On GPUs batch norm then normalises over the whole batch, so that several processes train what
    one would. Its modules are replaced in place; its parameters stay the same objects. For a CPU
    torch has no such batch norm: there each process normalises over its own frames.
    """
    if runtime.world == 1:
        return net
    if runtime.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(net)
        return nn.parallel.DistributedDataParallel(net, device_ids=[runtime.device.index])
    return nn.parallel.DistributedDataParallel(net)


def anyone(flag: bool, runtime: Runtime) -> bool:
    """Whether the flag is up in any process; every process must ask at the same point."""
    if runtime.world == 1:
        return flag
    # On the CPU: asking must not wait for the GPU.
    shared = torch.tensor(int(flag))
    dist.all_reduce(shared, dist.ReduceOp.MAX, group=runtime.host_group)
    return bool(shared)


def from_first(value: Any, runtime: Runtime) -> Any:
    """Return what the process of rank 0 holds, in every process."""
    if runtime.world == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, group=runtime.host_group)
    return box[0]


def gather(value: Any, runtime: Runtime) -> list[Any]:
    """Return what each process holds, by rank, in every process."""
    if runtime.world == 1:
        return [value]
    everyone: list[Any] = [None] * runtime.world
    dist.all_gather_object(everyone, value, group=runtime.host_group)
    return everyone
