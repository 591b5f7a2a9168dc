def gradients(self, gradient: Tensor, input: Tensor, weight: Tensor, stride: List[int], padding: List[int],
    transposed: bool, added: List[int], wanted: List[bool]) -> Tuple[Tensor, Tensor, Tensor]:
  channels = torch.size(gradient, 1)
  return torch.convolution_backward(gradient, input, weight, [channels], stride, padding, [1, 1], transposed, added, 1, wanted)

def channels_last(self, weight: Tensor) -> Tuple[Tensor]:
  return (torch.contiguous(weight, memory_format=2),)
