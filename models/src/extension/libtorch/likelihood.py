def bernoulli(self, logits: Tensor, image: Tensor) -> Tuple[Tensor, Tensor]:
  large = torch.addcmul(torch.relu(logits), image, logits, value=-1)
  terms = torch.sub(large, torch.log_sigmoid(torch.abs(logits)))
  return (torch.sum(terms, [1, 2, 3]), torch.sub(torch.sigmoid(logits), image))

def squared_error(self, decoded: Tensor, image: Tensor) -> Tuple[Tensor, Tensor]:
  difference = torch.sub(decoded, image)
  norm = torch.linalg_vector_norm(difference, 2, [1, 2, 3])
  return (torch.mul(norm, norm), difference)
