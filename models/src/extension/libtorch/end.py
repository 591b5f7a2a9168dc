def leaky_relu(self, values: Tensor, slope: float) -> Tuple[Tensor]:
  return (torch.leaky_relu_(values, slope),)
