"""The words of the pages, in English and in Chinese, for people who know neither this service nor OSS."""

from __future__ import annotations

from collections.abc import Mapping

SHARE: Mapping[str, Mapping[str, str]] = {
    "en": {
        "size": "Size",
        "type": "Type",
        "expires": "Available until",
        "uses_left": "Downloads left",
        "when_opened": "when you opened this page",
        "download": "Download",
        "note": (
            "Each download counts once; opening this page does not count. "
            "Pressing the button again on this page within ten minutes does not count twice."
        ),
        "qr_code": "Open on a phone",
        "qr_title": "QR code of this page's address",
    },
    "zh": {
        "size": "大小",
        "type": "类型",
        "expires": "有效期至",
        "uses_left": "剩余下载次数",
        "when_opened": "打开本页时",
        "download": "下载",
        "note": "每次下载计一次，打开本页不计次数。十分钟内在本页再次点击按钮不会重复计数。",
        "qr_code": "在手机上打开",
        "qr_title": "本页地址的二维码",
    },
}

UPLOAD: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Send files to {folder}",
        "drop": "Drop files here, or",
        "choose": "Choose files",
        "max_size": "Maximum file size",
        "type": "Accepted type",
        "files_left": "Files left",
        "expires": "Open until",
        "waiting": "Waiting",
        "sending": "Sending",
        "sent": "Sent",
        "failed": "Not sent: the connection was lost.",
        "refused": "Not sent: the storage service refused the file.",
        "too_large": "Not sent: the file is too large.",
        "wrong_type": "Not sent: this type of file is not accepted.",
        "full": "Not sent: the maximum number of files has been reached.",
        "expired": "Not sent: this link is no longer valid.",
        "unavailable": "Not sent: the service is temporarily unavailable. Try again.",
        "retry": "Try again",
        "done": "All files have been sent. You can close this page.",
        "partly": "Some files have not been sent.",
        "no_script": "To send files here, allow JavaScript in your browser.",
    },
    "zh": {
        "title": "上传文件到 {folder}",
        "drop": "将文件拖到此处，或",
        "choose": "选择文件",
        "max_size": "单个文件大小上限",
        "type": "允许的类型",
        "files_left": "还可上传文件数",
        "expires": "开放至",
        "waiting": "等待中",
        "sending": "上传中",
        "sent": "已上传",
        "failed": "未上传：连接中断。",
        "refused": "未上传：存储服务拒绝了此文件。",
        "too_large": "未上传：文件超过大小上限。",
        "wrong_type": "未上传：不接受此类型的文件。",
        "full": "未上传：已达到文件数量上限。",
        "expired": "未上传：链接已失效。",
        "unavailable": "未上传：服务暂不可用，请重试。",
        "retry": "重试",
        "done": "全部文件已上传，可以关闭本页。",
        "partly": "部分文件未上传。",
        "no_script": "请在浏览器中启用 JavaScript 后再上传文件。",
    },
}

_WITHDRAWN = ("share_retired", "share_owner_removed", "share_record_missing")

# A title and a sentence for each code, otherwise for each status. What a program reads of an error is for developers;
# these sentences only ask of people what they can do: copy the link again, or ask its sender for another one.
PROBLEMS: Mapping[str, Mapping[str | int, tuple[str, str]]] = {
    "en": {
        "share_invalid": ("Invalid link", "The link is incomplete or was modified. Copy the full link again."),
        "share_expired": ("This link has expired", "Ask the sender for a new link."),
        **dict.fromkeys(_WITHDRAWN, ("This link was withdrawn", "Ask the sender for a new link.")),
        "share_revoked": ("This link was withdrawn", "The sender withdrew it. Ask the sender for a new link."),
        "share_not_enabled": ("This link is no longer available", "Ask the sender for a new link."),
        "share_used_up": ("Download limit reached", "Ask the sender for a new link."),
        "share_full": ("Upload limit reached", "Ask the sender for a new link."),
        "object_archived": ("This file is in cold storage", "Ask the sender to restore the file first."),
        "app_package_domain": (
            "This app cannot be downloaded here",
            "The storage service does not serve apps (.apk, .ipa) at this address. Ask the sender for another way.",
        ),
        "no_such_object": ("File not found", "It was removed, or it is not there yet. Ask the sender for the file."),
        "bad_nonce": ("The download did not start", "Open the link again, and press the button."),
        400: ("This link does not work", "It may be incomplete. Copy the full link again, or ask the sender for it."),
        401: (
            "This link is not open to everyone",
            "Ask the sender for a share link to this file: it opens in any browser, without a password.",
        ),
        403: ("Not allowed", "Ask the sender for a link that allows this."),
        404: ("Page not found", "Check that the link is complete, or ask the sender for a new one."),
        **dict.fromkeys((405, 415), ("Not possible here", "Open the link again, or ask the sender for a new one.")),
        409: ("Not possible", "Ask the sender for another link."),
        410: ("This link is no longer valid", "Ask the sender for a new link."),
        413: ("Too large", "Send less at once."),
        500: ("Something went wrong", "Try again later. If it happens again, send the sender the number below."),
        503: ("Temporarily unavailable", "Try again in a few minutes."),
    },
    "zh": {
        "share_invalid": ("链接无效", "链接不完整或被改动过，请重新复制完整链接。"),
        "share_expired": ("链接已过期", "请向发送者索取新的链接。"),
        **dict.fromkeys(_WITHDRAWN, ("链接已撤销", "请向发送者索取新的链接。")),
        "share_revoked": ("链接已撤销", "发送者撤销了此链接，请索取新的链接。"),
        "share_not_enabled": ("链接已停用", "请向发送者索取新的链接。"),
        "share_used_up": ("下载次数已用完", "请向发送者索取新的链接。"),
        "share_full": ("文件数量已达上限", "请向发送者索取新的链接。"),
        "object_archived": ("文件处于归档状态", "请联系发送者先恢复此文件。"),
        "app_package_domain": (
            "无法在此下载应用",
            "存储服务不在此地址提供应用安装包（.apk、.ipa），请向发送者索取其他下载方式。",
        ),
        "no_such_object": ("文件不存在", "文件已被移除或尚未上传，请联系发送者。"),
        "bad_nonce": ("下载未开始", "请重新打开链接，再点击按钮。"),
        400: ("链接无法使用", "链接可能不完整，请重新复制完整链接，或向发送者索取。"),
        401: ("此链接不对所有人开放", "请向发送者索取此文件的分享链接，用任何浏览器都能打开，无需密码。"),
        403: ("没有权限", "请向发送者索取允许此操作的链接。"),
        404: ("页面不存在", "请检查链接是否完整，或向发送者索取新的链接。"),
        **dict.fromkeys((405, 415), ("不支持的操作", "请重新打开链接，或向发送者索取新的链接。")),
        409: ("无法完成操作", "请向发送者索取其他链接。"),
        410: ("链接已失效", "请向发送者索取新的链接。"),
        413: ("内容过大", "请减小内容后重试。"),
        500: ("服务出错", "请稍后重试。如果仍然出错，请将下方的编号告知发送者。"),
        503: ("服务暂不可用", "请过几分钟再试。"),
    },
}
