"""The pages for people: a share, an upload share, a folder, the sender's, and an error."""

from .render import (
    SharedFile,
    SharedPage,
    SharedUpload,
    folder_page,
    problem_page,
    qr_code,
    sender_page,
    share_page,
    upload_page,
)

__all__ = [
    "SharedFile",
    "SharedPage",
    "SharedUpload",
    "folder_page",
    "problem_page",
    "qr_code",
    "sender_page",
    "share_page",
    "upload_page",
]
