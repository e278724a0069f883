"""What laws here do not cover, refused in one sentence: other tasks than language models, and models that are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hplaw.errors import QueryError
from hplaw.vocabulary.model_shape import not_language


COVERED = "laws here cover pretraining and fine-tuning of transformer language models"
"""What may be asked about."""

TASK = "language"
"""The one task that laws here cover."""


def refuse_task(known: Mapping[str, Any]) -> None:
    """Refuse a task that no law here is for.

    **Raises:** `QueryError`.
    """
    task = known.get("task", TASK)
    if task != TASK:
        message = f"task={task} is not covered: {COVERED}"
        raise QueryError(message, field="task")


def refuse_model(model: Mapping[str, Any]) -> None:
    """Refuse a config.json of a model that is no transformer for language.

    **Raises:** `QueryError`.

    >>> refuse_model({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2})
    """
    why = not_language(model)
    if why:
        message = f"model: {why}, which is not covered: {COVERED}"
        raise QueryError(message, field="model")
