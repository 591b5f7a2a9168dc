def negative_log(self, logits: Tensor, image: Tensor) -> Tuple[Tensor, Tensor]:
  large = torch.addcmul(torch.relu(logits), image, logits, value=-1)
  terms = torch.sub(large, torch.log_sigmoid(torch.abs(logits)))
  return (torch.sum(terms, [1, 2, 3]), torch.sub(torch.sigmoid(logits), image))
