"""Why a link fails. `explain` is `signer.explain`, and the command `fc-presign explain`."""

from .evidence import Finding
from .explaining import explain
from .explanation import Explanation

__all__ = ["Explanation", "Finding", "explain"]
