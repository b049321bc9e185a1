"""Runs that survive interruption: a lock, a fingerprint of the settings, and checkpoints."""

from refmg_validation.runs.checkpoint import Checkpoint, checkpoint_steps
from refmg_validation.runs.claim import check_claim, claim_folder
from refmg_validation.runs.fingerprint import check_fingerprint
from refmg_validation.runs.folder import RunFolder
from refmg_validation.runs.lock import FolderLock

__all__ = [
    "Checkpoint",
    "FolderLock",
    "RunFolder",
    "check_claim",
    "check_fingerprint",
    "checkpoint_steps",
    "claim_folder",
]
