"""Muon in float32: momentum, orthogonalised by a Newton-Schulz iteration (Jordan et al., 2024).

torch.optim.Muon iterates in bfloat16, which a CPU without bfloat16 arithmetic emulates, and there
a step of the toy takes twenty times as long as this one. Matrices of one shape are stacked, so that
a step is a handful of batched products.
"""

from __future__ import annotations

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: torch.Tensor, *, iterations: int = 5) -> torch.Tensor:
    """Bring all singular values of matrices [n, rows, columns] near 1."""
    a, b, c = COEFFICIENTS
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.transpose(1, 2)
    x = x / (x.flatten(1).norm(dim=1).clamp_min(1e-7)[:, None, None])
    for _ in range(iterations):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.transpose(1, 2)


class Muon(torch.optim.Optimizer):
    """For matrices alone: a step moves each by lr * sqrt(max(1, rows / columns)) every way."""

    def __init__(
        self,
        parameters: list[torch.nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in shapes.items():
                self._step_of_one_shape(group, shape, parameters)

    def _step_of_one_shape(
        self, group: dict, shape: torch.Size, parameters: list[torch.nn.Parameter]
    ) -> None:
        gradients = torch.stack([parameter.grad for parameter in parameters])
        state = self.state[parameters[0]]  # of the whole stack
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradients)

        # Nesterov's momentum: the gradient is mixed in once more.
        momentum = state["momentum"].lerp_(gradients, 1 - group["momentum"])
        update = orthogonalise(gradients.lerp(momentum, group["momentum"]))

        scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
        for parameter, direction in zip(parameters, update, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-scale)
