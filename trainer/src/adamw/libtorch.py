def step(self, updated: List[Tensor], weights: List[Tensor], gradients: List[Tensor], moments_1: List[Tensor],
    moments_2: List[Tensor], times: List[Tensor], learning_rate: float, beta_1: float, beta_2: float,
    weight_decay: float, epsilon: float) -> Tuple[()]:
  torch._foreach_copy_(updated, weights)
  torch._fused_adamw_(updated, gradients, moments_1, moments_2, annotate(List[Tensor], []), times, lr=learning_rate, beta1=beta_1, beta2=beta_2, weight_decay=weight_decay, eps=epsilon, amsgrad=False, maximize=False)
  return ()
