"""The pages for people: a share, an upload share, a folder, the sender's, and an error."""

from .render import (
    ProtectedList,
    SharedFile,
    SharedPage,
    SharedUpload,
    code_page,
    folder_page,
    problem_page,
    qr_code,
    sender_page,
    share_page,
    upload_page,
)

__all__ = [
    "ProtectedList",
    "SharedFile",
    "SharedPage",
    "SharedUpload",
    "code_page",
    "folder_page",
    "problem_page",
    "qr_code",
    "sender_page",
    "share_page",
    "upload_page",
]
