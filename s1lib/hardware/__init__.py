"""What a training needs of its machines: processes, memory, checkpoints, the base's weights."""
