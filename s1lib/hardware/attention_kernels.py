"""Which of torch's attention kernels a GPU uses.

On a Hopper GPU torch prefers cuDNN's, which makes a plan for every shape that it has not seen. On
an H100 that took 70 ms, and 60 ms more in a backward pass. Traces differ in length, so nearly every
one is a shape of its own: in a training step of 16 sequences 2.1 of 3.3 s went by like that. The
flash and the memory-efficient kernels need no plan.
"""

from __future__ import annotations

import torch


def without_plans() -> None:
    """Leave cuDNN's attention out, in this process."""
    torch.backends.cuda.enable_cudnn_sdp(False)
