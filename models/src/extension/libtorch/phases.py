def split(self, weight: Tensor, bias: Tensor, stride: int, padding: int, reach: int) -> Tuple[Tensor, Tensor]:
  inputs = torch.size(weight, 0)
  outputs = torch.size(weight, 1)
  kernel = torch.size(weight, 2)
  taps = 2 * reach + 1
  before = stride * reach
  after = stride * (reach + 2) + padding
  room = before + kernel + after
  padded = torch.contiguous(torch.constant_pad_nd(weight, [before, after, before, after], 0))
  steps = [outputs * room * room, room * room, room, stride * room, 1, stride]
  first = padding * (room + 1)
  phases = torch.as_strided(padded, [inputs, outputs, stride, taps, stride, taps], steps, first)
  lying = torch.permute(torch.flip(phases, [3, 5]), [2, 4, 1, 3, 5, 0])
  split = torch.reshape(lying, [stride * stride * outputs, taps, taps, inputs])
  return (torch.permute(split, [0, 3, 1, 2]), torch.repeat(bias, [stride * stride]))

def join(self, phases: Tensor, stride: int) -> Tuple[Tensor]:
  images = torch.size(phases, 0)
  channels = torch.floordiv(torch.size(phases, 1), stride * stride)
  height = torch.size(phases, 2)
  width = torch.size(phases, 3)
  pixels = torch.reshape(torch.permute(phases, [0, 2, 3, 1]), [images, height, width, stride, stride * channels])
  rows = torch.reshape(torch.permute(pixels, [0, 1, 3, 2, 4]), [images, height * stride, width * stride, channels])
  return (torch.permute(rows, [0, 3, 1, 2]),)
