"""OSS's errors: status, code and XML. Sources: the OSS pages "Error responses" and those of the codes (EC)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from xml.sax.saxutils import escape

XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

# An XML element: its name, and its value or its children.
Node = tuple[str, "str | int | bool | list[Node]"]


def render(node: Node, indent: str = "") -> str:
    """An element on lines of its own. Escapes carriage returns too, which XML parsers would read as line feeds."""
    name, content = node
    if isinstance(content, list):
        children = "".join(render(child, f"{indent}  ") for child in content)
        return f"{indent}<{name}>\n{children}{indent}</{name}>\n"
    string = str(content).lower() if isinstance(content, bool) else str(content)
    escaped = escape(string, {"\r": "&#13;"})
    return f"{indent}<{name}>{escaped}</{name}>\n"


class OssError(Exception):
    """An error response of OSS.

    `ec` is OSS's finer error code, "" where none is documented; `details` are further elements of the XML;
    `headers` are added to the response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        ec: str = "",
        headers: Mapping[str, str] | None = None,
        **details: str | list[Node],
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
        elements: dict[str, str | list[Node]] = {"Code": self.code, "Message": self.message}
        elements |= {"RequestId": request_id, "HostId": host, **self.details}
        if self.ec:
            elements["EC"] = self.ec
        return (XML_DECLARATION + render(("Error", [*elements.items()]))).encode()


def no_such_bucket(bucket: str) -> OssError:
    return OssError(
        404,
        "NoSuchBucket",
        "The specified bucket does not exist.",
        ec="0015-00000101",
        BucketName=bucket,
    )


def no_such_key(key: str, headers: Mapping[str, str] | None = None) -> OssError:
    message = "The specified key does not exist."
    return OssError(404, "NoSuchKey", message, ec="0026-00000001", headers=headers, Key=key)


def no_such_upload(upload_id: str, *, ec: str = "0042-00000002") -> OssError:
    reason = "The upload ID may be invalid, or the upload may have been aborted or completed."
    return OssError(
        404,
        "NoSuchUpload",
        f"The specified upload does not exist. {reason}",
        ec=ec,
        UploadId=upload_id,
    )


def file_already_exists(key: str) -> OssError:
    message = "The object you specified already exists and can not be overwritten."
    return OssError(409, "FileAlreadyExists", message, Key=key)


def invalid_argument(
    name: str, value: str, message: str, *, ec: str = "", code: str = "InvalidArgument"
) -> OssError:
    return OssError(400, code, message, ec=ec, ArgumentName=name, ArgumentValue=value)


def too_large() -> OssError:
    return OssError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")


def not_implemented(feature: str) -> OssError:
    """501 for what OSS implements and the local OSS does not."""
    message = f"The local OSS does not implement {feature}. Use OSS itself to test it."
    return OssError(501, "NotImplemented", message, Header=feature)


@contextmanager
def naming(operation: str) -> Iterator[None]:
    """Lets a 501 that names a parameter or a header name the operation, too."""
    try:
        yield
    except OssError as error:
        if error.status != 501:
            raise
        raise not_implemented(f"{operation} with {error.details['Header']}") from None


def method_not_allowed(method: str, headers: Mapping[str, str] | None = None) -> OssError:
    message = "The specified method is not allowed against this resource."
    return OssError(405, "MethodNotAllowed", message, headers=headers, Method=method)


def malformed_xml(ec: str = "") -> OssError:
    return OssError(
        400, "MalformedXML", "The XML you provided was not well-formed or did not validate.", ec=ec
    )


def incomplete_body() -> OssError:
    return OssError(
        400,
        "IncompleteBody",
        "The body is shorter than its Content-Length, or its last chunk is missing.",
    )
