"""The words of the pages, in English and in Chinese, for people who know neither this service nor OSS."""

from __future__ import annotations

from collections.abc import Mapping


def _by_language(pairs: Mapping[str, tuple[str, str]]) -> Mapping[str, Mapping[str, str]]:
    return {
        lang: {name: pair[place] for name, pair in pairs.items()}
        for place, lang in enumerate(("en", "zh"))
    }


SHARE = _by_language(
    {
        "size": ("Size", "大小"),
        "type": ("Type", "类型"),
        "expires": ("Available until", "有效期至"),
        "uses_left": ("Downloads left", "剩余下载次数"),
        "when_opened": ("when you opened this page", "打开本页时"),
        "download": ("Download", "下载"),
        "note": (
            (
                "Each download counts once; opening this page does not count. Pressing the button again on this "
                "page within ten minutes does not count twice."
            ),
            "每次下载计一次，打开本页不计次数。十分钟内在本页再次点击按钮不会重复计数。",
        ),
        "qr_code": ("Open on a phone", "在手机上打开"),
        "qr_title": ("QR code of this page's address", "本页地址的二维码"),
        "name": ("File", "文件"),
        "code": ("Code", "提取码"),
        "code_title": ("Enter the code", "请输入提取码"),
        "code_hint": ("The sender of this link has it.", "提取码由链接的发送者提供。"),
        "no_code": ("Type the code first.", "请先填写提取码，再重试。"),
        "open": ("Open", "打开"),
        "back": ("Back to the list", "返回列表"),
        "wrong_code": (
            "This code is not right. Check it and try again.",
            "提取码不正确，请核对后重试。",
        ),
    }
)

UPLOAD = _by_language(
    {
        "title": ("Send files", "上传文件"),
        "code": ("Code", "提取码"),
        "code_hint": ("The sender of this link has it.", "提取码由链接的发送者提供。"),
        "no_code": ("Not sent: type the code first.", "未上传：请先填写提取码，再重试。"),
        "wrong_password": (
            "Not sent: the code is not right. Correct it, and try again.",
            "未上传：提取码不正确，请更正后重试。",
        ),
        "drop": ("Drop files here, or", "将文件拖到此处，或"),
        "choose": ("Choose files", "选择文件"),
        "max_size": ("Maximum file size", "单个文件大小上限"),
        "type": ("Accepted type", "允许的类型"),
        "files_left": ("Files left", "还可上传文件数"),
        "expires": ("Open until", "开放至"),
        "waiting": ("Waiting", "等待中"),
        "offline": ("Waiting for the network …", "等待网络…"),
        "sending": ("Sending", "上传中"),
        "all_files": ("All files", "全部文件"),
        "sent": ("Sent", "已上传"),
        "failed": ("Not sent: the connection was lost.", "未上传：连接中断。"),
        "unreadable": ("Not sent: it cannot be read.", "未上传：无法读取。"),
        "folders": (
            "This page keeps no folders: the files of a folder are sent one by one.",
            "本页不保留文件夹：其中的文件会逐个上传。",
        ),
        "left_out": ("Left out, because hidden or empty", "已略过隐藏文件和空文件夹"),
        "ended": (
            "Not sent: the upload was interrupted for too long. Start it again.",
            "未上传：上传中断的时间过长，请重新开始。",
        ),
        "no_cors": (
            (
                "Not sent: the storage accepts no files from this page. Tell the sender of this link that the CORS "
                "rules of the bucket must allow PUT and POST from {origin}."
            ),
            (
                "未上传：存储服务不接受来自本页的文件。请告知链接的发送者：Bucket 的跨域规则（CORS）必须允许来自 "
                "{origin} 的 PUT 和 POST。"
            ),
        ),
        "refused": (
            "Not sent: the storage service refused the file.",
            "未上传：存储服务拒绝了此文件。",
        ),
        "too_large": ("Not sent: the file is too large.", "未上传：文件超过大小上限。"),
        "wrong_type": (
            "Not sent: this type of file is not accepted.",
            "未上传：不接受此类型的文件。",
        ),
        "full": (
            "Not sent: the maximum number of files has been reached. Ask for a new link.",
            "未上传：已达到文件数量上限，请索取新链接。",
        ),
        "expired": ("Not sent: this link is no longer valid.", "未上传：链接已失效。"),
        "unavailable": (
            "Not sent: the service is temporarily unavailable. Try again.",
            "未上传：服务暂不可用，请重试。",
        ),
        "retry": ("Try again", "重试"),
        "done": (
            "All files have been sent. You can close this page.",
            "全部文件已上传，可以关闭本页。",
        ),
        "partly": ("Some files have not been sent.", "部分文件未上传。"),
        "no_script": (
            "To send files here, allow JavaScript in your browser.",
            "请在浏览器中启用 JavaScript 后再上传文件。",
        ),
        "stop": ("Stop", "停止"),
        "stopped": ("Stopped.", "已停止。"),
    }
)

FOLDER = _by_language(
    {
        "above": ("Folders above", "上级文件夹"),
        "top": ("All files", "全部文件"),
        "begins": ("Names that begin with", "名称开头"),
        "no_slash": (
            "A name has no /: open the folder instead.",
            "名称中没有 /，请直接打开文件夹。",
        ),
        "show": ("Show", "筛选"),
        "all": ("Show the entire folder", "显示整个文件夹"),
        "sort": ("Sort by", "排序"),
        "name": ("Name", "名称"),
        "size": ("Size", "大小"),
        "modified": ("Last change", "修改时间"),
        "empty": ("This folder is empty.", "此文件夹为空。"),
        "no_match": ("No name begins with this.", "没有以此开头的名称。"),
        "next": ("Next page", "下一页"),
        "covers": (
            "This link opens everything in this folder, also what is added later, until",
            "此链接可打开此文件夹中的所有内容，包括以后添加的文件，有效期至",
        ),
        "covers_file": (
            "This link opens 1 file, until",
            "此链接可打开 1 个文件，有效期至",
        ),
        "covers_files": (
            "This link opens {} files in all, until",
            "此链接共可打开 {} 个文件，有效期至",
        ),
        "command": ("Download all files with one command", "用一条命令下载全部文件"),
        "command_note": (
            "For a terminal with wget. It does not download the folders in this folder.",
            "在装有 wget 的终端中运行，不下载子文件夹。",
        ),
    }
)

# Beside those of UPLOAD and SHARE.
SENDER = _by_language(
    {
        "title": ("Send and receive files", "发送和接收文件"),
        "no_script": (
            "To send and receive files here, allow JavaScript in your browser.",
            "请在浏览器中启用 JavaScript，然后在此发送和接收文件。",
        ),
        "key": ("API key or token", "API 密钥或令牌"),
        "key_hint": (
            "This tab keeps it until you sign out or close it.",
            "密钥只保存在此标签页，退出或关闭后即被清除。",
        ),
        "sign_in": ("Sign in", "登录"),
        "sign_out": ("Sign out", "退出"),
        "admin": (
            "This key may manage the shares of others. Use one without the method ADMIN here.",
            "此密钥可以管理他人的分享，请在此使用没有 ADMIN 方法的密钥。",
        ),
        "no_answer": ("The service did not answer. Try again.", "服务没有响应，请重试。"),
        "nothing": (
            "This key may neither send files nor receive any: ask whoever gave it to you.",
            "此密钥既不能发送也不能接收文件，请联系密钥的提供者。",
        ),
        "send": ("Send files", "发送文件"),
        "receive": ("Receive files", "接收文件"),
        "shares": ("My shares", "我的分享"),
        "to": ("Folder", "文件夹"),
        "days": ("Available for", "有效期"),
        "days_1": ("1 day", "1 天"),
        "days_7": ("7 days", "7 天"),
        "days_30": ("30 days", "30 天"),
        "shortened": (
            "This is the latest end that is allowed here.",
            "这是此处允许的最晚截止时间。",
        ),
        "deleted": (
            "What it opens is deleted before that, from",
            "在此之前，其中的文件会被删除，时间：",
        ),
        "max_uses": ("Downloads (empty: any number)", "下载次数（留空则不限）"),
        "max_files": ("Number of files", "文件数量"),
        "with_code": ("Protect it with a code", "用提取码保护"),
        "share_title": ("Title (optional)", "标题（可选）"),
        "message": ("Message (optional)", "留言（可选）"),
        "drop": ("Drop files or folders here, or", "将文件或文件夹拖到此处，或"),
        "folders": (
            "Folders stay as they are at one address for all files.",
            "所有文件共用一个链接时，保留文件夹。",
        ),
        "together": ("One address for all files", "所有文件共用一个链接"),
        "send_now": ("Send", "发送"),
        "remove": ("Remove", "移除"),
        "choose_first": ("Choose files first.", "请先选择文件。"),
        "nothing_sent": (
            "Nothing was sent. Remove the files that are marked, or choose another folder.",
            "未发送任何文件。请移除标出的文件，或选择其他文件夹。",
        ),
        "too_many": (
            "Nothing was sent. Send at most 1,000 files at a time.",
            "未发送任何文件。每次最多发送 1,000 个文件。",
        ),
        "same_name": ("Another file here has this name.", "此处已有同名文件。"),
        "bad_name": (
            "No link can have this name: rename the file.",
            "链接不支持此名称，请重命名文件。",
        ),
        "extra": (
            "Not shared: a file that you removed here arrived all the same. Send all files again.",
            "未分享：您移除的文件已经上传。请重新发送全部文件。",
        ),
        "count_files": ("{count} files", "{count} 个文件"),
        "create": ("Create an upload page", "创建上传页面"),
        "page": ("Upload page", "上传页面"),
        "done": (
            "All files have been sent. Copy the addresses: nothing shows them again.",
            "全部文件已上传。请复制地址，之后不会再显示。",
        ),
        "partly": (
            "Some files have not been sent. An address for all follows once these are sent or removed.",
            "部分文件未上传。全部上传或移除后，才会有共用的链接。",
        ),
        "copy_line": ("Copy", "复制"),
        "copy_code": ("Copy with code", "复制（含提取码）"),
        "copied": ("Copied.", "已复制。"),
        "not_copied": (
            "Not copied: select the addresses, and copy them yourself.",
            "未能复制：请选中地址后自行复制。",
        ),
        "active": ("Active", "有效"),
        "expires_at": ("Available until", "有效期至"),
        "uses": ("Used", "已使用"),
        "opened_at": ("First used", "首次使用"),
        "last_use": ("Last used", "最近使用"),
        "received": ("“My shares” lists what arrives.", "收到的文件列在“我的分享”中。"),
        "files": ("Show files", "查看文件"),
        "no_files": ("No file has arrived yet.", "尚未收到文件。"),
        "links_until": ("These links work until", "以上链接有效期至"),
        "extend": ("Extend", "延长"),
        "revoke": ("Revoke", "撤销"),
        "sure": (
            "Revoke this share? Its address will open nothing.",
            "撤销此分享后，其地址将无法打开。",
        ),
        "more": ("More", "更多"),
        "none": ("There are no shares of yours.", "您还没有分享。"),
        "no_cors": (
            (
                "Not sent: the storage accepts no files from this page. Tell the operator that the CORS rules of "
                "the bucket must allow PUT and POST from {origin}, and expose ETag."
            ),
            (
                "未上传：存储服务不接受来自本页的文件。请告知管理员：Bucket 的跨域规则（CORS）必须允许来自 "
                "{origin} 的 PUT 和 POST，并暴露 ETag。"
            ),
        ),
    }
)

# A title and a sentence for each code, otherwise for each status. What a program reads of an error is for developers;
# these sentences only ask of people what they can do: copy the link again, or ask its sender for another one.
PROBLEMS: Mapping[str, Mapping[str | int, tuple[str, str]]] = {
    "en": {
        "share_invalid": (
            "Invalid link",
            "This link is incomplete, was changed, or ended long ago. Copy the full link again.",
        ),
        "share_expired": ("This link has expired", "Ask the sender for a new link."),
        "share_owner_removed": ("This link was withdrawn", "Ask the sender for a new link."),
        "share_revoked": (
            "This link was withdrawn",
            "The sender withdrew it. Ask the sender for a new link.",
        ),
        "share_not_enabled": ("This link is no longer available", "Ask the sender for a new link."),
        "share_used_up": ("Download limit reached", "Ask the sender for a new link."),
        "share_full": ("Upload limit reached", "Ask the sender for a new link."),
        "object_archived": (
            "This file is in cold storage",
            "Ask the sender to restore the file first.",
        ),
        "app_package_domain": (
            "This app cannot be downloaded here",
            "The storage service does not serve apps (.apk, .ipa) at this address. Ask the sender for another way.",
        ),
        "no_such_object": (
            "File not found",
            "It was removed, or it is not there yet. Ask the sender for the file.",
        ),
        "bad_nonce": ("The download did not start", "Open the link again, and press the button."),
        400: (
            "This link does not work",
            "It may be incomplete. Copy the full link again, or ask the sender for it.",
        ),
        401: (
            "This link is not open to everyone",
            "Ask the sender for a share link to this file: it opens in any browser, without an account.",
        ),
        403: ("Not allowed", "Ask the sender for a link that allows this."),
        404: (
            "Page not found",
            "Check that the link is complete, or ask the sender for a new one.",
        ),
        **dict.fromkeys(
            (405, 415, 422),
            ("Not possible here", "Open the link again, or ask the sender for a new one."),
        ),
        409: ("Not possible", "Ask the sender for another link."),
        410: ("This link is no longer valid", "Ask the sender for a new link."),
        413: ("Too large", "Send less at once."),
        500: (
            "Something went wrong",
            "Try again later. If it happens again, send the sender the number below.",
        ),
        503: ("Temporarily unavailable", "Try again in a few minutes."),
    },
    "zh": {
        "share_invalid": ("链接无效", "链接不完整、被改动过，或早已失效，请重新复制完整链接。"),
        "share_expired": ("链接已过期", "请向发送者索取新的链接。"),
        "share_owner_removed": ("链接已撤销", "请向发送者索取新的链接。"),
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
        401: (
            "此链接不对所有人开放",
            "请向发送者索取此文件的分享链接，用任何浏览器都能打开，无需账号。",
        ),
        403: ("没有权限", "请向发送者索取允许此操作的链接。"),
        404: ("页面不存在", "请检查链接是否完整，或向发送者索取新的链接。"),
        **dict.fromkeys(
            (405, 415, 422), ("不支持的操作", "请重新打开链接，或向发送者索取新的链接。")
        ),
        409: ("无法完成操作", "请向发送者索取其他链接。"),
        410: ("链接已失效", "请向发送者索取新的链接。"),
        413: ("内容过大", "请减小内容后重试。"),
        500: ("服务出错", "请稍后重试。如果仍然出错，请将下方的编号告知发送者。"),
        503: ("服务暂不可用", "请过几分钟再试。"),
    },
}
