"""On PYTHONPATH: every process that torchrun starts takes its CPU for a GPU and shards there.

accelerate shards (FSDP2) on accelerators only, as fsdp2.yaml tells it through the environment. Its
own preparation, trl's trainer, the checkpoints and the saving are what runs on a node. Replaced are
NCCL by gloo and pinned memory by the ordinary kind, so that offload moves nothing.
"""

import os

if "LOCAL_RANK" in os.environ:
    import accelerate.state
    import torch
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    from s1lib.hardware.launcher import ACCELERATE

    def prepare_backend(self, cpu=False, sagemaker_dp=False, backend=None):
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        return "gloo", accelerate.state.DistributedType.MULTI_GPU

    def set_device(self):
        self.device = torch.device("cpu")

    accelerate.state.PartialState._prepare_backend = prepare_backend
    accelerate.state.PartialState.set_device = set_device
    torch.Tensor.pin_memory = lambda self, *_: self  # which needs a GPU's driver

    # What `accelerate launch` sets on a node.
    options = ["--config_file", str(ACCELERATE), "--num_processes", os.environ["WORLD_SIZE"]]
    chosen, *_ = _validate_launch_command(launch_command_parser().parse_args([*options, "x.py"]))
    for key, value in prepare_multi_gpu_env(chosen).items():
        if key.startswith(("ACCELERATE", "FSDP")):
            os.environ[key] = value
