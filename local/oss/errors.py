"""OSS's errors: status, code and XML. Sources: the OSS pages "Error responses" and those of the codes (EC)."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

Details = tuple[tuple[str, str], ...]


class OssError(Exception):
    """A refusal as OSS words it.

    `ec` is OSS's finer error code, "" where none is documented; `details` are further elements of the XML;
    `headers` go onto the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        ec: str = "",
        details: Details = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.ec = ec
        self.details = details
        self.headers = dict(headers or {})

    def xml(self, request_id: str, host: str) -> bytes:
        """The `<Error>` document."""
        elements = [("Code", self.code), ("Message", self.message), ("RequestId", request_id), ("HostId", host)]
        elements += [*self.details, *([("EC", self.ec)] if self.ec else [])]
        body = "".join(f"  <{name}>{escape(text, {chr(13): '&#13;'})}</{name}>\n" for name, text in elements)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n{body}</Error>\n'.encode()


def no_such_bucket(bucket: str) -> OssError:
    """404 NoSuchBucket."""
    return OssError(
        404,
        "NoSuchBucket",
        "The specified bucket does not exist.",
        ec="0015-00000101",
        details=(("BucketName", bucket),),
    )


def no_such_key(key: str, headers: Mapping[str, str] | None = None) -> OssError:
    """404 NoSuchKey."""
    return OssError(
        404,
        "NoSuchKey",
        "The specified key does not exist.",
        ec="0026-00000001",
        details=(("Key", key),),
        headers=headers,
    )


def no_such_upload(upload_id: str) -> OssError:
    """404 NoSuchUpload."""
    return OssError(
        404,
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
        details=(("UploadId", upload_id),),
    )


def file_already_exists(key: str) -> OssError:
    """409 FileAlreadyExists."""
    return OssError(
        409,
        "FileAlreadyExists",
        "The object you specified already exists and can not be overwritten.",
        details=(("Key", key),),
    )


def invalid_argument(name: str, value: str, message: str, *, ec: str = "") -> OssError:
    """400 InvalidArgument about a named parameter."""
    return OssError(400, "InvalidArgument", message, ec=ec, details=(("ArgumentName", name), ("ArgumentValue", value)))


def not_implemented(what: str) -> OssError:
    """501 for what OSS can and this stand-in cannot."""
    return OssError(
        501,
        "NotImplemented",
        f"The local stand-in does not implement {what}: try it against OSS itself.",
        details=(("Header", what),),
    )


def method_not_allowed(method: str, headers: Mapping[str, str] | None = None) -> OssError:
    """405 MethodNotAllowed."""
    return OssError(
        405,
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        details=(("Method", method),),
        headers=headers,
    )


def malformed_xml() -> OssError:
    """400 MalformedXML."""
    return OssError(400, "MalformedXML", "The XML you provided was not well-formed or did not validate.")


def incomplete_body() -> OssError:
    """400 for a body that ended early."""
    return OssError(400, "IncompleteBody", "The body is shorter than its Content-Length, or its last chunk is missing.")
