"""From a model to draws: NUTS, Laplace, Huber."""
