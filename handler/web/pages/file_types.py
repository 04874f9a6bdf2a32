"""The types of files as people know them, each with an icon."""

from __future__ import annotations

import re
from typing import NamedTuple


class FileType(NamedTuple):
    """The name of a type in English and in Chinese, and the one of its icon in icon.html."""

    icon: str
    en: str
    zh: str

    def name(self, lang: str) -> str:
        return self.zh if lang == "zh" else self.en


# Each type with its extensions and its media types; a media type that ends in / stands for all that begin with it.
_TYPES = (
    (FileType("text", "PDF document", "PDF 文档"), "pdf", "application/pdf"),
    (
        FileType("text", "Word document", "Word 文档"),
        "docx doc docm dotx",
        "application/msword application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (
        FileType("table", "Excel workbook", "Excel 工作簿"),
        "xlsx xls xlsm xlsb",
        "application/vnd.ms-excel application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (
        FileType("slides", "PowerPoint presentation", "PowerPoint 演示文稿"),
        "pptx ppt pptm ppsx",
        "application/vnd.ms-powerpoint application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    (
        FileType("text", "WPS document", "WPS 文字"),
        "wps",
        "application/vnd.ms-works application/wps-office.wps",
    ),
    (FileType("table", "WPS workbook", "WPS 表格"), "et", "application/wps-office.et"),
    (FileType("slides", "WPS presentation", "WPS 演示"), "dps", "application/wps-office.dps"),
    (
        FileType("text", "Text document", "文本文档"),
        "odt rtf pages",
        "application/rtf application/vnd.oasis.opendocument.text",
    ),
    (
        FileType("table", "Spreadsheet", "电子表格"),
        "ods numbers",
        "application/vnd.oasis.opendocument.spreadsheet",
    ),
    (
        FileType("slides", "Presentation", "演示文稿"),
        "odp",
        "application/vnd.oasis.opendocument.presentation",
    ),
    (FileType("table", "Table (CSV)", "CSV 表格"), "csv tsv", "text/csv text/tab-separated-values"),
    (FileType("text", "E-book", "电子书"), "epub mobi azw3", "application/epub+zip"),
    (FileType("text", "Web page", "网页"), "html htm xhtml", "text/html application/xhtml+xml"),
    (FileType("text", "Calendar", "日历"), "ics", "text/calendar"),
    (
        FileType("text", "Data file", "数据文件"),
        "json xml yaml yml",
        "application/json application/xml text/xml",
    ),
    (FileType("text", "Text", "文本"), "txt md log", "text/"),
    (
        FileType("archive", "ZIP archive", "ZIP 压缩包"),
        "zip",
        "application/zip application/x-zip-compressed",
    ),
    (
        FileType("archive", "RAR archive", "RAR 压缩包"),
        "rar",
        "application/vnd.rar application/x-rar-compressed",
    ),
    (FileType("archive", "7-Zip archive", "7-Zip 压缩包"), "7z", "application/x-7z-compressed"),
    (
        FileType("archive", "Archive", "压缩包"),
        "tar gz tgz bz2 xz zst",
        "application/x-tar application/gzip application/x-gzip application/x-bzip2 application/x-xz application/zstd",
    ),
    (
        FileType("image", "Image", "图片"),
        "jpg jpeg png gif webp heic avif bmp tif tiff svg ico psd",
        "image/",
    ),
    (FileType("video", "Video", "视频"), "mp4 m4v mov mkv avi webm wmv flv", "video/"),
    (FileType("audio", "Audio", "音频"), "mp3 m4a aac wav flac ogg opus wma", "audio/"),
    (
        FileType("program", "Program", "程序"),
        "exe msi dmg pkg apk ipa deb rpm bat cmd com scr ps1 sh jar",
        "application/x-msdownload application/vnd.android.package-archive application/java-archive",
    ),
)
_BY_EXTENSION = {
    extension: kind for kind, extensions, _ in _TYPES for extension in extensions.split()
}
_BY_MEDIA_TYPE = {
    media_type: kind for kind, _, media_types in _TYPES for media_type in media_types.split()
}
_EXTENSION = re.compile(r"[a-z][a-z0-9]{0,4}")


def file_type(name: str, media_type: str) -> FileType | None:
    """The type of a file by its name and media type, None if neither says one.

    The name decides first, as it does on the reader's machine: a program is a program, whatever its media type says.
    """
    base, dot, extension = name.lower().rpartition(".")
    has_extension = bool(base and dot and _EXTENSION.fullmatch(extension))
    for match in (
        _BY_EXTENSION.get(extension) if has_extension else None,
        media_file_type(media_type),
    ):
        if match is not None:
            return match
    return (
        FileType("file", f"{extension.upper()} file", f"{extension.upper()} 文件")
        if has_extension
        else None
    )


def media_file_type(media_type: str) -> FileType | None:
    """The type of files of a media type, or of all that begin with it if it ends in /; None for an unknown one."""
    media_type = media_type.partition(";")[0].strip().lower()
    return _BY_MEDIA_TYPE.get(media_type) or _BY_MEDIA_TYPE.get(media_type.partition("/")[0] + "/")
