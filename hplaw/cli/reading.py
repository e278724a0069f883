"""Reading the files and folders that a command line names: laws, JSON objects."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hplaw.errors import DataError, MalformedQuery
from hplaw.messages.parametrization import MuonScale
from hplaw.vocabulary.names import by_fold, spelled


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue


def open_catalogue(folders: Sequence[Path] | None) -> Catalogue:
    """Return the laws in the folders given and in the usual ones; name the broken files on stderr.

    **Raises:** `LawNotFound` for a folder given that is not there.
    """
    from hplaw.catalogue.catalogue import load_catalogue

    catalogue = load_catalogue(tuple(folders or ()), hasty=True)
    for problem in catalogue.problems:
        print(f"hplaw: skipped a law: {problem.text}", file=sys.stderr)
    return catalogue


def read_object(option: str, path: Path, what: str = "the model's config.json") -> dict[str, Any]:
    """Return the JSON object in a file that an option names, a model's config.json or `what` else it is to be.

    **Raises:** `DataError` for a file that cannot be read, or holds no JSON object.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        message = f"{option} {path}: {error.strerror}"
        raise DataError(message) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"{option} {path} is no JSON object ({error}); give {what}"
        raise DataError(message) from None


def read_muon_scale(text: str) -> MuonScale:
    """Return the scale of Muon's rates that `--muon-scale` names.

    **Raises:** `MalformedQuery` for another word.

    >>> read_muon_scale("original"), read_muon_scale("rms")
    ('original', 'match_rms_adamw')
    """
    match spelled("muon_scale", text, by_fold(("original", "match_rms_adamw"))):
        case "original":
            return "original"
        case "match_rms_adamw":
            return "match_rms_adamw"
        case _:
            message = f"--muon-scale {text[:80]}: give original or match_rms_adamw"
            raise MalformedQuery(message, field="muon_scale")
