"""One training job as several processes, with torch.distributed."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from pipeline.nets.split import SplitNet
from pipeline.training.device import Runtime


def wrap(net: SplitNet, runtime: Runtime) -> Any:
    """Return the net as it is called: itself, or synchronised over all processes.

    Batch norm then normalises over the whole batch, so that several processes train what one
    would. The modules of `net` are replaced in place; its parameters stay the same objects.
    """
    if runtime.world == 1:
        return net
    if runtime.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(net)
        return nn.parallel.DistributedDataParallel(net, device_ids=[runtime.device.index])
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, GlobalBatchNorm(child))
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


class GlobalBatchNorm(nn.Module):
    """Batch norm over the batches of all processes, for the CPU, where torch has none."""

    def __init__(self, local: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = local.eps
        self.momentum = local.momentum if local.momentum is not None else 0.1
        self.weight, self.bias = local.weight, local.bias
        # Under the names of nn.BatchNorm2d, so that weights move between the two.
        self.register_buffer("running_mean", local.running_mean)
        self.register_buffer("running_var", local.running_var)
        self.register_buffer("num_batches_tracked", local.num_batches_tracked)

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x_BChw: Tensor) -> Tensor:
        x = x_BChw.float()
        if self.training:
            count = x.numel() // x.shape[1] * dist.get_world_size()
            mean_C = all_reduce(x.sum((0, 2, 3))) / count
            centred = x - mean_C[:, None, None]
            variance_C = all_reduce(centred.square().sum((0, 2, 3))) / count
            with torch.no_grad():
                self.running_mean.lerp_(mean_C, self.momentum)
                self.running_var.lerp_(variance_C * count / (count - 1), self.momentum)
                self.num_batches_tracked += 1
        else:
            centred, variance_C = x - self.running_mean[:, None, None], self.running_var
        scale_C = self.weight * (variance_C + self.eps).rsqrt()
        return (centred * scale_C[:, None, None] + self.bias[:, None, None]).to(x_BChw.dtype)
