"""On PYTHONPATH, every process that torchrun starts takes its CPU for a GPU, so that accelerate shards the model there (FSDP2).

accelerate shards on accelerators only. Nothing else is replaced: its own preparation, trl's trainer, the checkpoints and
the saving are what runs on a node, with gloo in the place of NCCL.
"""

import os

if "LOCAL_RANK" in os.environ:
    import accelerate.state
    import torch

    def prepare_backend(self, cpu=False, sagemaker_dp=False, backend=None):
        return "gloo", accelerate.state.DistributedType.MULTI_GPU

    accelerate.state.PartialState._prepare_backend = prepare_backend
    accelerate.state.PartialState.set_device = lambda self: setattr(self, "device", torch.device("cpu"))
    torch.Tensor.pin_memory = lambda self, *_: self  # offload pins host memory, which needs a GPU's driver
    torch.distributed.init_process_group("gloo")
