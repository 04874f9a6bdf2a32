"""What each finding means and what to do about it, in words."""

from __future__ import annotations

# code: (what is wrong, what to do)
ADVICE: dict[str, tuple[str, str]] = {
    # --- the text of the link was damaged on its way
    "truncated": (
        "The link is cut off: its end, where the signature stands, is missing.",
        "Copy the whole link from where it was made. In a shell put it in single quotes, or the first & ends it; in "
        "a database or a log, look for a column or a line that is too short.",
    ),
    "line_broken": (
        "The link was broken into lines, as mail programs do.",
        "Join the lines without blanks, or send the link as HTML (<a href>), or as a short address that redirects.",
    ),
    "trailing_text": (
        "Something behind the link was copied with it.",
        "End the link behind the 64 hexadecimal digits of x-oss-signature. In prose put it on a line of its own.",
    ),
    "html_escaped": (
        "The link is HTML source: & is written as &amp;.",
        "Take the link from the page as a browser shows it, or undo the escaping (html.unescape) before it is "
        "requested. A template must escape a link once, in an attribute, and programs must be given it unescaped.",
    ),
    "json_escaped": (
        r"The link is JSON source: & is written as \u0026.",
        "Parse the JSON, and use the string that comes out, instead of cutting the link out of the text.",
    ),
    "shell_escaped": (
        "The link holds a shell's escapes.",
        "Put the link in single quotes and leave the backslashes (cmd.exe: the carets) out.",
    ),
    "double_encoded": (
        "The link was percent-encoded a second time.",
        "Use the link as it was made: it is encoded already. Give it to the HTTP client as a whole URL, not as "
        "parts that are encoded again, and decode a link that came inside another URL exactly once.",
    ),
    "plus_decoded": (
        "A plus sign became a blank: %2B was decoded on the way.",
        "Hand the link on as it is, never decoded: base64 in a security token has plus signs, and in a query a "
        "plus sign means a blank. Look for a decodeURI, urldecode or a framework's own query parser between "
        "signer and client.",
    ),
    "decoded": (
        "A part of the link was percent-decoded.",
        "Hand the link on as it is, never decoded: %20, %23, %3F and %25 in it are needed.",
    ),
    "case_changed": (
        "The link was put into another case.",
        "Keep the link's capitals: keys, tokens and dates have them. QR codes need byte mode, not alphanumeric mode.",
    ),
    # --- what was signed is not what is sent
    "added_parameters": (
        "Parameters were added to the link after it was signed.",
        "Leave them out. Every parameter is signed, so give those that are needed (versionId, response-*, "
        "x-oss-process) to the signer, and keep trackers and cache busters off links, such as axios params or "
        "jQuery cache: false.",
    ),
    "missing_parameter": (
        "A part of the signature is missing.",
        "Copy the link again, whole: all x-oss-* parameters belong to it, also those that look like trackers.",
    ),
    "malformed_parameter": (
        "A part of the signature cannot be read.",
        "Copy the link again, or sign anew: nothing in it can be edited by hand.",
    ),
    "altered_parameter": (
        "A parameter was changed after signing.",
        "Sign anew with the value that is wanted: a link's life or file name cannot be changed afterwards.",
    ),
    "changed_query": (
        "The query that reached OSS is not the link's.",
        "Look for what rewrites the link between client and OSS: a proxy, a CDN, a redirect, an HTTP library's "
        "own encoding.",
    ),
    "changed_path": (
        "The path that reached OSS is not the link's.",
        "Look for what rewrites paths between client and OSS: a proxy that decodes or merges slashes, a CDN "
        "rule, a client that normalises. Request the link as it is (curl --path-as-is).",
    ),
    "wrong_method": (
        "The link is for another HTTP method than the one it was used with.",
        "Use the method it was signed for: GET and HEAD are different signatures, so curl -I on a GET link "
        "fails. Sign a second link for HEAD, or ask with GET and Range: bytes=0-0.",
    ),
    "missing_header": (
        "A header that was signed was not sent.",
        "Send exactly the headers that the signer gave with the link, with the same values.",
    ),
    "extra_header": (
        "A header was sent that was not signed.",
        "Content-Type, Content-MD5 and x-oss-* are signed whenever they are sent. Do not send it (curl -H "
        "'Content-Type:', fetch with a Blob that has no type), or sign the link with it.",
    ),
    "changed_header": (
        "A signed header was sent with another value.",
        "Send the value that was signed, to the letter; libraries like to add a charset to Content-Type.",
    ),
    "wrong_host": (
        "The link signs its host, and it was sent to another one.",
        "Sign with the endpoint that clients use, or do not name host among the additional headers.",
    ),
    # --- credentials
    "missing_token": (
        "The link was made with temporary credentials, but has no security token.",
        "Give the token to the signer together with key and secret (security_token=, OSS_SESSION_TOKEN, or "
        "ALIBABA_CLOUD_SECURITY_TOKEN); it becomes x-oss-security-token, and is signed.",
    ),
    "token_not_signed": (
        "The security token was added to the link, but not signed.",
        "Give the token to the signer, as part of the credentials. In V4 it is called x-oss-security-token and "
        "belongs to what is signed; security-token is the name in V1.",
    ),
    "wrong_token": (
        "The security token is not that of this access key.",
        "Take key, secret and token from one and the same answer of STS: they are renewed together.",
    ),
    "token_expired": (
        "The temporary credentials that signed the link have ended, and the link with them.",
        "Sign anew. Tell the signer when the credentials end (expires_at=), so that a link never promises more "
        "than they hold.",
    ),
    "unknown_access_key": (
        "OSS does not know the access key, or it is not the one given here.",
        "Check that the key exists, is enabled, and belongs to this site and account; a temporary key needs its token.",
    ),
    "wrong_secret": (
        "The link was not signed with this secret, or signs something that it does not show.",
        "Check the secret for a lost character or a line end. If it is right, name what the link cannot show: "
        "the headers (--header) and the method (--method) that it was signed for.",
    ),
    "signature_mismatch": (
        "OSS saw the very request that this link is, and it was signed differently.",
        "Look in this order: the secret (a lost character, another key's, a blank at its end); the method it "
        "was signed for; headers given to the signer and not sent, Content-Type first; a key or a parameter "
        "that was changed afterwards.",
    ),
    "unsigned": (
        "The link has no signature.",
        "Copy the link with all that follows the question mark. A private object answers AccessDenied without it.",
    ),
    # --- times
    "expired": (
        "The link has expired.",
        "Sign anew, with a longer expiry if it must live longer (at most 7 days), or share an address that "
        "makes a fresh link on every visit.",
    ),
    "date_in_future": (
        "The link is dated in the future: OSS accepts at most 15 minutes.",
        "Set the clock of the machine that signs (NTP), and give times in UTC: a local time with a Z behind it "
        "is hours off.",
    ),
    "expires_out_of_range": (
        "The expiry is outside of 1 to 604800 seconds.",
        "Sign with at most 7 days, in seconds from the signing time. A Unix time belongs to V1, not to V4.",
    ),
    # --- where the link leads
    "wrong_region": (
        "The region that was signed is not the region of the host.",
        "Sign with the bucket's own region, written without oss- (cn-hangzhou), and use that region's endpoint.",
    ),
    "bucket_twice": (
        "The bucket stands in the host and in the path, so OSS looks for a key that begins with the bucket's name.",
        "Give the signer the key alone, without the bucket, and do not build the URL from bucket and host by hand.",
    ),
    "bucket_not_in_host": (
        "The bucket stands in the path, and OSS's public domains want it in the host.",
        "Write https://BUCKET.oss-REGION.aliyuncs.com/KEY. The signature stays the same, unless host is signed.",
    ),
    "internal_host": (
        "The host is internal: it is reached from inside its region only, and times out on the internet.",
        "Sign for the public endpoint or a custom domain where the client is on the internet. Keep the "
        "internal one for servers in that region.",
    ),
    "public_endpoint_forbidden": (
        "This account may not hand out objects by OSS's default domain.",
        "Bind a custom domain to the bucket and sign for it. Accounts new to OSS since 2025-03-20 need one for "
        "the regions of mainland China.",
    ),
    "redirect_forbidden": (
        "The bucket's redirect rules do not work by OSS's default domain.",
        "Bind a custom domain to the bucket and sign for it, or take the redirect rule away.",
    ),
    "rewritten_key": (
        'The key holds what HTTP clients rewrite: a segment that is empty, "." or "..".',
        "Copy the object to a key without // and without . or .. segments, and sign for that. As a stopgap, a "
        "client that sends paths as they are: curl --path-as-is.",
    ),
    # --- the signature is right, the object is the matter
    "archived": (
        "The object is archived and not restored.",
        "Restore it first (RestoreObject; minutes for Archive, hours for Cold Archive), or turn on direct read "
        "for Archive objects.",
    ),
    "no_such_key": (
        "The signature is right; there is no such object.",
        "Compare the key letter by letter: capitals, blanks, a slash at its beginning, accents composed differently.",
    ),
    "no_such_bucket": ("There is no such bucket.", "Check the bucket's name and the region of the host."),
    "no_such_version": (
        "There is no such version of the object.",
        "Check versionId, and that it is a query parameter of the link, not a header.",
    ),
    "access_denied": (
        "Who signed the link may not do this.",
        "A link carries the rights of the key that signed it: grant that role oss:GetObject (or oss:PutObject) "
        "on this very object, and look for a bucket policy, a session policy or Block Public Access that denies it.",
    ),
    "source_address": (
        "The link is bound to addresses (x-oss-ac-*), and the client has another one.",
        "Sign with the address that OSS sees: behind a NAT or a proxy that is not the client's own.",
    ),
    "already_exists": (
        "The object exists, and the link forbids to overwrite it.",
        "Upload to another key, or sign without x-oss-forbid-overwrite.",
    ),
    "precondition_failed": (
        "A condition of the request does not hold.",
        "Leave out If-Match, If-None-Match and the like, or bring them up to date.",
    ),
    "range_outside": ("The range lies outside of the object.", "Ask for a range within the object's size."),
    "upload_refused": (
        "The upload is not what its form allows.",
        "Keep to the form's size, type and key, send its fields as they are, and the file last.",
    ),
    "other_error": ("OSS refused for a reason of its own.", "Look the code up in OSS's list of error codes."),
}
