"""On PYTHONPATH: every process that torchrun starts takes its CPU for a GPU.

accelerate shards (FSDP2) on accelerators only. Its own preparation, trl's trainer, the checkpoints
and the saving are what runs on a node. Replaced are NCCL by gloo and pinned memory by the ordinary
kind, so that offload moves nothing.
"""

import os

if "LOCAL_RANK" in os.environ:
    import accelerate.state
    import torch

    def prepare_backend(self, cpu=False, sagemaker_dp=False, backend=None):
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        return "gloo", accelerate.state.DistributedType.MULTI_GPU

    accelerate.state.PartialState._prepare_backend = prepare_backend
    accelerate.state.PartialState.set_device = lambda self: setattr(
        self, "device", torch.device("cpu")
    )
    # Offload pins host memory, which needs a GPU's driver.
    torch.Tensor.pin_memory = lambda self, *_: self
