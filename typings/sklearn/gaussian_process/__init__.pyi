from typing import Any

class GaussianProcessClassifier:
    def __init__(self, kernel: Any, *, random_state: int) -> None: ...
